"""MinAtar Asterix: the player walks on the eight inner rows of the board, takes gold and avoids enemies.

Enemies and gold enter at the left or right edge and cross the board along their row. One in three is gold. A row holds
one of them at a time; none enters while all rows are taken. The player takes gold by moving into its cell, for a reward
of 1. A meeting with an enemy ends the game.

At first one enters every 10 steps, and all move every 5 steps. Every 102 steps the interval between entries becomes one
step shorter, and every second time also the interval between moves, until both are one step.
"""

from numasync.envs.jitted.minatar.board import DOWN, LEFT, NOOP, RIGHT, SIZE, UP, choose_sticky, make_versions, set_cell
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice, uniform

# Channels of the observation. The trail is the cell behind an enemy or gold: it shows the direction.
PLAYER, ENEMY, TRAIL, GOLD, CHANNELS = range(5)

# The state. SPAWN_IN, MOVE_IN, RAMP_IN: in how many steps the next event is due. It ends with three numbers for each
# row of the board. KIND: what is in the row, as the channel of gold or an enemy, or NOTHING. X and DX: its column and
# direction.
(LAST_ACTION, PLAYER_X, PLAYER_Y, SPAWN_EVERY, SPAWN_IN, MOVE_EVERY, MOVE_IN, RAMP_IN, RAMPS, KIND) = range(10)
X, DX, STATE_SIZE = KIND + SIZE, KIND + 2 * SIZE, KIND + 3 * SIZE
NOTHING = 0.0

TOP, BOTTOM = 1, SIZE - 2
RAMP_EVERY = 102.0

MINIMAL = (NOOP, LEFT, UP, RIGHT, DOWN)


@kernel
def reset(state, rng, obs):
    state[:] = 0.0
    state[PLAYER_X] = state[PLAYER_Y] = 5.0
    state[SPAWN_EVERY] = state[SPAWN_IN] = 10.0
    state[MOVE_EVERY] = state[MOVE_IN] = 5.0
    state[RAMP_IN] = RAMP_EVERY
    draw(state, obs)


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    action = choose_sticky(state, action, rng)
    if state[SPAWN_IN] == 0.0:
        state[SPAWN_IN] = state[SPAWN_EVERY]
        spawn(state, rng)
    move_player(state, action)
    reward, end = meet(state)
    if state[MOVE_IN] == 0.0:
        state[MOVE_IN] = state[MOVE_EVERY]
        move_others(state)
        more, end_after = meet(state)
        reward, end = reward + more, end or end_after
    state[SPAWN_IN] -= 1.0
    state[MOVE_IN] -= 1.0
    state[RAMP_IN] -= 1.0
    if state[RAMP_IN] == 0.0:
        state[RAMP_IN] = RAMP_EVERY
        ramp(state)
    draw(state, obs)
    return reward, end


@kernel
def spawn(state, rng):
    """Let gold or an enemy enter at one edge of a free row, if there is a free row."""
    rightward = uniform(rng) < 1 / 2
    gold = uniform(rng) < 1 / 3
    n_free = 0
    for y in range(TOP, BOTTOM + 1):
        n_free += state[KIND + y] == NOTHING
    if n_free > 0:
        y = free_row(state, choice(rng, n_free))
        state[KIND + y] = GOLD if gold else ENEMY
        state[X + y] = 0.0 if rightward else SIZE - 1.0
        state[DX + y] = 1.0 if rightward else -1.0


@kernel
def free_row(state, n):
    """Return the free row with n free rows above it. More than n rows must be free."""
    y = TOP
    while state[KIND + y] != NOTHING or n > 0:
        n -= state[KIND + y] == NOTHING
        y += 1
    return y


@kernel
def move_player(state, action):
    """Move the player by one cell, if that is its action."""
    if action == LEFT:
        state[PLAYER_X] = max(state[PLAYER_X] - 1.0, 0.0)
    elif action == RIGHT:
        state[PLAYER_X] = min(state[PLAYER_X] + 1.0, SIZE - 1.0)
    elif action == UP:
        state[PLAYER_Y] = max(state[PLAYER_Y] - 1.0, float(TOP))
    elif action == DOWN:
        state[PLAYER_Y] = min(state[PLAYER_Y] + 1.0, float(BOTTOM))


@kernel
def meet(state):
    """Return the reward for what is in the player's cell, and how the step ends."""
    y = int(state[PLAYER_Y])
    if state[KIND + y] != NOTHING and state[X + y] == state[PLAYER_X]:
        if state[KIND + y] == ENEMY:
            return 0.0, TERMINATED
        state[KIND + y] = NOTHING
        return 1.0, RUNNING
    return 0.0, RUNNING


@kernel
def move_others(state):
    """Move enemies and gold by one column. They leave the board at its edge."""
    for y in range(TOP, BOTTOM + 1):
        if state[KIND + y] != NOTHING:
            state[X + y] += state[DX + y]
            if not 0 <= state[X + y] < SIZE:
                state[KIND + y] = NOTHING


@kernel
def ramp(state):
    """Make the game one level more difficult."""
    state[SPAWN_EVERY] = max(state[SPAWN_EVERY] - 1.0, 1.0)
    if state[RAMPS] % 2 == 1:
        state[MOVE_EVERY] = max(state[MOVE_EVERY] - 1.0, 1.0)
    state[RAMPS] += 1.0


@kernel
def draw(state, obs):
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    set_cell(obs, CHANNELS, state[PLAYER_Y], state[PLAYER_X], PLAYER)
    for y in range(TOP, BOTTOM + 1):
        if state[KIND + y] != NOTHING:
            set_cell(obs, CHANNELS, y, state[X + y], int(state[KIND + y]))
            behind = state[X + y] - state[DX + y]
            if 0 <= behind < SIZE:
                set_cell(obs, CHANNELS, y, behind, TRAIL)


ASTERIX = make_versions("Asterix", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
