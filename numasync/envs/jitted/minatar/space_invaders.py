"""MinAtar Space Invaders: a cannon on the bottom row shoots at a wave of aliens, which drop bombs and come closer.

The wave moves one column at a time. With an alien at the edge it turns and comes one row down instead. While n aliens
are left it moves every n steps, but no slower than its pace: 12 steps for the first wave, one fewer for each wave
after it, down to 6. Every 10 steps the lowest alien of the column nearest to the cannon drops a bomb. The cannon can
fire every 5 steps. Shots and bombs move one row a step; an alien that is hit is a reward of 1. The game ends when a
bomb or an alien meets the cannon, or when the wave turns with an alien on the bottom row.
"""

from numasync.envs.jitted.minatar.board import FIRE, LEFT, NOOP, RIGHT, SIZE, both_versions, light, sticky
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel

# Channels of the observation. Every alien is seen twice: as an alien, and as one that moves left or right.
CANNON, ALIEN, LEFTWARD, RIGHTWARD, SHOT, BOMB, CHANNELS = range(7)

# The state row ends with three boards of 0 and 1, row after row. However many aliens, shots and bombs there are, they
# fit: two of a kind in one cell are one. MOVE_IN, BOMB_IN, FIRE_IN: in how many steps the next one is due or allowed.
LSTM_UNITS = SIZE * SIZE
LAST_ACTION, CANNON_X, DIRECTION, PACE, MOVE_IN, BOMB_IN, FIRE_IN, ALIENS = range(8)
SHOTS, BOMBS, STATE_SIZE = ALIENS + LSTM_UNITS, ALIENS + 2 * LSTM_UNITS, ALIENS + 3 * LSTM_UNITS
BOTTOM = LSTM_UNITS - SIZE

FIRST_PACE, LAST_PACE = 12.0, 6.0
BOMB_INTERVAL, FIRE_INTERVAL = 10.0, 5.0
WAVE_ROWS, WAVE_LEFT, WAVE_RIGHT = 4, 2, 8

MINIMAL = (NOOP, LEFT, RIGHT, FIRE)


@kernel
def reset(state, rng, obs):
    state[:] = 0.0
    state[CANNON_X] = 5.0
    state[DIRECTION] = -1.0
    state[PACE] = state[MOVE_IN] = FIRST_PACE
    state[BOMB_IN] = BOMB_INTERVAL
    line_up(state)
    draw(state, obs)


@kernel
def line_up(state):
    for y in range(WAVE_ROWS):
        state[ALIENS + y * SIZE + WAVE_LEFT : ALIENS + y * SIZE + WAVE_RIGHT] = 1.0


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    use_cannon(state, sticky(state, action, rng))
    bombed = move_bullets(state)
    invaded = move_aliens(state)
    if state[BOMB_IN] == 0.0:
        state[BOMB_IN] = BOMB_INTERVAL
        drop_bomb(state)
    reward = remove_hit(state)
    state[FIRE_IN] = max(state[FIRE_IN] - 1.0, 0.0)
    state[MOVE_IN] -= 1.0
    state[BOMB_IN] -= 1.0
    if not state[ALIENS:SHOTS].any():
        state[PACE] = max(state[PACE] - 1.0, LAST_PACE)
        line_up(state)
    draw(state, obs)
    return reward, TERMINATED if bombed or invaded else RUNNING


@kernel
def use_cannon(state, action):
    if action == FIRE and state[FIRE_IN] == 0.0:
        state[FIRE_IN] = FIRE_INTERVAL
        state[SHOTS + BOTTOM + int(state[CANNON_X])] = 1.0
    elif action == LEFT:
        state[CANNON_X] = max(state[CANNON_X] - 1.0, 0.0)
    elif action == RIGHT:
        state[CANNON_X] = min(state[CANNON_X] + 1.0, SIZE - 1.0)


@kernel
def move_bullets(state):
    """Move shots and bombs by one row, off the board where it ends; return whether a bomb meets the cannon."""
    shots, bombs = state[SHOTS:BOMBS], state[BOMBS:STATE_SIZE]
    roll(shots, -SIZE)
    shots[BOTTOM:] = 0.0
    roll(bombs, SIZE)
    bombs[:SIZE] = 0.0
    return meets_cannon(state, bombs)


@kernel
def move_aliens(state):
    """Move the wave if that is due; return whether this ends the game, or the cannon drove into an alien before."""
    aliens = state[ALIENS:SHOTS]
    over = meets_cannon(state, aliens)
    if state[MOVE_IN] > 0.0:
        return over
    state[MOVE_IN] = min(aliens.sum(), state[PACE])
    edge = 0 if state[DIRECTION] < 0.0 else SIZE - 1
    if aliens[edge::SIZE].any():
        over = over or aliens[BOTTOM:].any()
        state[DIRECTION] *= -1.0
        roll(aliens, SIZE)
    else:
        # The column at the edge is empty, so that no alien gets from the end of one row to the start of another.
        roll(aliens, int(state[DIRECTION]))
    return over or meets_cannon(state, aliens)


@kernel
def roll(board, by):
    """Move all cells `by` places on, those at the end to the start: in place, each swapped with the one it replaces."""
    if by > 0:
        for i in range(LSTM_UNITS - 1, by - 1, -1):
            board[i], board[i - by] = board[i - by], board[i]
    else:
        for i in range(LSTM_UNITS + by):
            board[i], board[i - by] = board[i - by], board[i]


@kernel
def meets_cannon(state, board):
    return board[BOTTOM + int(state[CANNON_X])] == 1.0


@kernel
def drop_bomb(state):
    """The lowest alien of the nearest column drops a bomb; of two columns equally near, the left one."""
    cannon = int(state[CANNON_X])
    for distance in range(SIZE):
        for x in (cannon - distance, cannon + distance):
            y = lowest_alien(state, x)
            if y >= 0:
                state[BOMBS + y * SIZE + x] = 1.0
                return


@kernel
def lowest_alien(state, x):
    """The row of the lowest alien in column x, or -1 if it has none or is not on the board."""
    if 0 <= x < SIZE:
        for y in range(SIZE - 1, -1, -1):
            if state[ALIENS + y * SIZE + x] == 1.0:
                return y
    return -1


@kernel
def remove_hit(state):
    """Take the aliens that are hit off the board, and the shots that hit them; return their number as the reward."""
    reward = 0.0
    for i in range(LSTM_UNITS):
        if state[ALIENS + i] == 1.0 and state[SHOTS + i] == 1.0:
            state[ALIENS + i] = state[SHOTS + i] = 0.0
            reward += 1.0
    return reward


@kernel
def draw(state, obs):
    obs[:] = FLOAT(0)
    light(obs, CHANNELS, SIZE - 1, state[CANNON_X], CANNON)
    moving = LEFTWARD if state[DIRECTION] < 0.0 else RIGHTWARD
    for i in range(LSTM_UNITS):
        obs[i * CHANNELS + ALIEN] = obs[i * CHANNELS + moving] = FLOAT(state[ALIENS + i])
        obs[i * CHANNELS + SHOT] = FLOAT(state[SHOTS + i])
        obs[i * CHANNELS + BOMB] = FLOAT(state[BOMBS + i])


SPACE_INVADERS = both_versions("SpaceInvaders", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
