"""MinAtar Freeway: a chicken crosses a road of eight lanes, with one car in each.

The chicken starts on the bottom row and can walk one row up or down every 3 steps. At the top it gets a reward of 1 and
returns to the bottom. A car that meets it also sends it there.

A car waits 1 to 5 steps before each move by one cell, always in the same direction. At an edge it enters again on the
other side. When the chicken reaches the top, all cars get new directions and waits, and keep their cells.

The game ends after 2501 steps. As in the authors' package this is a terminal state, not a time limit.
"""

from numasync.envs.jitted.minatar.board import DOWN, NOOP, SIZE, UP, choose_sticky, make_versions, set_cell
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice, uniform

# Channels of the observation. The cell behind a car is set in the channel of the car's wait, from QUICK for 1 to SLOW
# for 5. It shows the direction and the speed.
CHICKEN, CAR, QUICK, _, _, _, SLOW, CHANNELS = range(8)

LANES, TOP_LANE = 8, 1
LONGEST_WAIT = SLOW - QUICK + 1
COLUMN = 4  # where the chicken walks
BOTTOM = SIZE - 1.0

# The state. WALK_IN: in how many steps the chicken may walk. It ends with four rows of LANES numbers, one for each car.
# MOVE_IN: in how many steps the car moves.
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
    """Draw new waits and directions for all cars. Each car starts a whole wait."""
    for lane in range(LANES):
        state[WAIT + lane] = state[MOVE_IN + lane] = 1.0 + choice(rng, LONGEST_WAIT)
    for lane in range(LANES):
        state[DIRECTION + lane] = -1.0 if uniform(rng) < 0.5 else 1.0


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    walk(state, choose_sticky(state, action, rng))
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
    """Move the chicken by one row, if that is the action and the chicken may walk."""
    if state[WALK_IN] == 0.0 and (action == UP or action == DOWN):
        state[WALK_IN] = WALK_INTERVAL
        state[CHICKEN_Y] = min(max(state[CHICKEN_Y] + (1.0 if action == DOWN else -1.0), 0.0), BOTTOM)
    state[WALK_IN] = max(state[WALK_IN] - 1.0, 0.0)


@kernel
def drive(state):
    """Move the cars that are due. A car meets the chicken in its cell before the move or after it."""
    for lane in range(LANES):
        met = meets_chicken(state, lane)
        if state[MOVE_IN + lane] == 0.0:
            state[MOVE_IN + lane] = state[WAIT + lane]
            state[CAR_X + lane] = wrap_column(state[CAR_X + lane] + state[DIRECTION + lane])
            met = met or meets_chicken(state, lane)
        else:
            state[MOVE_IN + lane] -= 1.0
        if met:
            state[CHICKEN_Y] = BOTTOM


@kernel
def meets_chicken(state, lane):
    """Return whether the car of a lane is in the chicken's cell."""
    return state[CHICKEN_Y] == TOP_LANE + lane and state[CAR_X + lane] == COLUMN


@kernel
def wrap_column(x):
    """Return the column x of a board whose left and right edges are joined."""
    return (x + SIZE) % SIZE


@kernel
def draw(state, obs):
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    set_cell(obs, CHANNELS, state[CHICKEN_Y], COLUMN, CHICKEN)
    for lane in range(LANES):
        y, x = TOP_LANE + lane, state[CAR_X + lane]
        set_cell(obs, CHANNELS, y, x, CAR)
        set_cell(obs, CHANNELS, y, wrap_column(x - state[DIRECTION + lane]), QUICK + int(state[WAIT + lane]) - 1)


FREEWAY = make_versions("Freeway", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
