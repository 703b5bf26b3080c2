"""MinAtar Freeway: a chicken crosses a road of eight lanes, with one car in each.

The chicken starts on the bottom row and can walk one row up or down every 3 steps. At the top it gets a reward of 1
and is back at the bottom; a car that meets it takes it back there as well. A car waits 1 to 5 steps before each move
by one cell, always in the same direction, and comes in again on the other side. All cars get new directions and waits
when the chicken reaches the top, and keep their places. The game ends after 2501 steps, which the package calls an end
like any other, not a time limit: so does this game.
"""

from numasync.envs.jitted.minatar.board import DOWN, NOOP, SIZE, UP, both_versions, light, sticky
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice, uniform

# Channels of the observation. The cell behind a car is set in the channel of the car's wait: from QUICK for 1 to SLOW
# for 5. It shows the car's direction and speed.
CHICKEN, CAR, QUICK, _, _, _, SLOW, CHANNELS = range(8)

LANES, TOP_LANE = 8, 1
LONGEST_WAIT = SLOW - QUICK + 1
COLUMN = 4  # where the chicken walks
BOTTOM = SIZE - 1.0

# The state row ends with four numbers for each lane, kept as four rows of LANES. MOVE_IN: in how many steps the car
# moves. WALK_IN: in how many steps the chicken may walk.
LAST_ACTION, CHICKEN_Y, WALK_IN, STEPS_LEFT, CAR_X = range(5)
DIRECTION, WAIT, MOVE_IN, STATE_SIZE = [CAR_X + LANES * row for row in range(1, 5)]

WALK_INTERVAL = 3.0
EPISODE = 2501.0

MINIMAL = (NOOP, UP, DOWN)


@kernel
def reset(state, rng, obs):
    state[:] = 0.0
    state[CHICKEN_Y] = BOTTOM
    state[WALK_IN] = WALK_INTERVAL
    state[STEPS_LEFT] = EPISODE
    change_cars(state, rng)
    draw(state, obs)


@kernel
def change_cars(state, rng):
    """Draw the waits and directions of all cars; each waits its whole wait before it moves again."""
    for lane in range(LANES):
        state[WAIT + lane] = state[MOVE_IN + lane] = 1.0 + choice(rng, LONGEST_WAIT)
    for lane in range(LANES):
        state[DIRECTION + lane] = -1.0 if uniform(rng) < 0.5 else 1.0


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    walk(state, sticky(state, action, rng))
    reward = 0.0
    if state[CHICKEN_Y] == 0.0:
        reward = 1.0
        state[CHICKEN_Y] = BOTTOM
        change_cars(state, rng)
    drive(state)
    state[STEPS_LEFT] -= 1.0
    draw(state, obs)
    return reward, RUNNING if state[STEPS_LEFT] > 0.0 else TERMINATED


@kernel
def walk(state, action):
    if state[WALK_IN] == 0.0 and (action == UP or action == DOWN):
        state[WALK_IN] = WALK_INTERVAL
        state[CHICKEN_Y] = min(max(state[CHICKEN_Y] + (1.0 if action == DOWN else -1.0), 0.0), BOTTOM)
    state[WALK_IN] = max(state[WALK_IN] - 1.0, 0.0)


@kernel
def drive(state):
    """Move the cars that are due. One meets the chicken where it was, as the chicken walks into it, and where it is."""
    for lane in range(LANES):
        met = meets_chicken(state, lane)
        if state[MOVE_IN + lane] == 0.0:
            state[MOVE_IN + lane] = state[WAIT + lane]
            state[CAR_X + lane] = around(state[CAR_X + lane] + state[DIRECTION + lane])
            met = met or meets_chicken(state, lane)
        else:
            state[MOVE_IN + lane] -= 1.0
        if met:
            state[CHICKEN_Y] = BOTTOM


@kernel
def meets_chicken(state, lane):
    return state[CHICKEN_Y] == TOP_LANE + lane and state[CAR_X + lane] == COLUMN


@kernel
def around(x):
    """The column x of a board whose left and right edges are joined."""
    return (x + SIZE) % SIZE


@kernel
def draw(state, obs):
    obs[:] = FLOAT(0)
    light(obs, CHANNELS, state[CHICKEN_Y], COLUMN, CHICKEN)
    for lane in range(LANES):
        y, x = TOP_LANE + lane, state[CAR_X + lane]
        light(obs, CHANNELS, y, x, CAR)
        light(obs, CHANNELS, y, around(x - state[DIRECTION + lane]), QUICK + int(state[WAIT + lane]) - 1)


FREEWAY = both_versions("Freeway", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
