"""MinAtar Space Invaders: a cannon on the bottom row shoots at a wave of aliens, which drop bombs and come closer.

The wave moves one column at a time. If an alien is at the edge, the wave turns and moves one row down instead. With n
aliens left it moves every n steps, or more often if its pace is shorter: 12 steps for the first wave, one step less for
each later wave, down to 6. Every 10 steps the lowest alien of the column nearest to the cannon drops a bomb.

The cannon can fire every 5 steps. Shots and bombs move one row a step. An alien that is hit is a reward of 1. The game
ends when a bomb or an alien meets the cannon, or when the wave turns with an alien on the bottom row.
"""

import numpy as np

from numasync.envs.jitted.minatar.board import FIRE, LEFT, NOOP, RIGHT, SIZE, choose_sticky, make_versions, set_cell
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel, kernel_or

# Channels of the observation. Every alien is set in two: in ALIEN, and in LEFTWARD or RIGHTWARD.
CANNON, ALIEN, LEFTWARD, RIGHTWARD, SHOT, BOMB, CHANNELS = range(7)

# The state. MOVE_IN, BOMB_IN, FIRE_IN: in how many steps the next event is due or allowed. It ends with three boards of
# 0 and 1, row after row, for aliens, shots and bombs. Two of a kind in one cell are one.
CELLS = SIZE * SIZE
LAST_ACTION, CANNON_X, DIRECTION, PACE, MOVE_IN, BOMB_IN, FIRE_IN, ALIENS = range(8)
SHOTS, BOMBS, STATE_SIZE = ALIENS + CELLS, ALIENS + 2 * CELLS, ALIENS + 3 * CELLS
BOTTOM = CELLS - SIZE

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
    """Place a new wave of aliens."""
    for y in range(WAVE_ROWS):
        state[ALIENS + y * SIZE + WAVE_LEFT : ALIENS + y * SIZE + WAVE_RIGHT] = 1.0


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    use_cannon(state, choose_sticky(state, action, rng))
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
    """Move the cannon, or fire a shot."""
    if action == FIRE and state[FIRE_IN] == 0.0:
        state[FIRE_IN] = FIRE_INTERVAL
        state[SHOTS + BOTTOM + int(state[CANNON_X])] = 1.0
    elif action == LEFT:
        state[CANNON_X] = max(state[CANNON_X] - 1.0, 0.0)
    elif action == RIGHT:
        state[CANNON_X] = min(state[CANNON_X] + 1.0, SIZE - 1.0)


@kernel
def move_bullets(state):
    """Move shots and bombs by one row; return whether a bomb meets the cannon. They leave the board at its edge."""
    shots, bombs = state[SHOTS:BOMBS], state[BOMBS:STATE_SIZE]
    roll(shots, -SIZE)
    shots[BOTTOM:] = 0.0
    roll(bombs, SIZE)
    bombs[:SIZE] = 0.0
    return meets_cannon(state, bombs)


@kernel
def move_aliens(state):
    """Move the wave if that is due; return whether an alien ends the game, before the move or through it."""
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
        # The column at the edge is empty, so no alien moves from the end of one row to the start of another.
        roll(aliens, int(state[DIRECTION]))
    return over or meets_cannon(state, aliens)


def roll_in_numpy(board, by):
    """`roll` in NumPy."""
    board[:] = np.roll(board, by)


@kernel_or(roll_in_numpy)
def roll(board, by):
    """Shift all cells of a board by `by` places, in place, as np.roll does. Each cell swaps with its target."""
    if by > 0:
        for i in range(CELLS - 1, by - 1, -1):
            board[i], board[i - by] = board[i - by], board[i]
    else:
        for i in range(CELLS + by):
            board[i], board[i - by] = board[i - by], board[i]


@kernel
def meets_cannon(state, board):
    """Return whether the cell of the cannon is set on a board."""
    return board[BOTTOM + int(state[CANNON_X])] == 1.0


@kernel
def drop_bomb(state):
    """Let the lowest alien of the nearest column drop a bomb. Of two equally near columns, take the left one."""
    cannon = int(state[CANNON_X])
    for distance in range(SIZE):
        for x in (cannon - distance, cannon + distance):
            y = lowest_alien(state, x)
            if y >= 0:
                state[BOMBS + y * SIZE + x] = 1.0
                return


@kernel
def lowest_alien(state, x):
    """Return the row of the lowest alien in column x, or -1 if there is no alien or no such column."""
    if 0 <= x < SIZE:
        for y in range(SIZE - 1, -1, -1):
            if state[ALIENS + y * SIZE + x] == 1.0:
                return y
    return -1


@kernel
def remove_hit(state):
    """Remove the aliens that are hit and the shots that hit them; return the number of aliens, as the reward."""
    reward = 0.0
    for i in range(CELLS):
        if state[ALIENS + i] == 1.0 and state[SHOTS + i] == 1.0:
            state[ALIENS + i] = state[SHOTS + i] = 0.0
            reward += 1.0
    return reward


def draw_in_numpy(state, obs):
    """`draw` in NumPy."""
    cells = obs.reshape(CELLS, CHANNELS)
    cells[:] = FLOAT(0)
    cells[BOTTOM + int(state[CANNON_X]), CANNON] = FLOAT(1)
    cells[:, ALIEN] = cells[:, LEFTWARD if state[DIRECTION] < 0.0 else RIGHTWARD] = state[ALIENS:SHOTS]
    cells[:, SHOT], cells[:, BOMB] = state[SHOTS:BOMBS], state[BOMBS:]


@kernel_or(draw_in_numpy)
def draw(state, obs):
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    set_cell(obs, CHANNELS, SIZE - 1, state[CANNON_X], CANNON)
    moving = LEFTWARD if state[DIRECTION] < 0.0 else RIGHTWARD
    for i in range(CELLS):
        obs[i * CHANNELS + ALIEN] = obs[i * CHANNELS + moving] = FLOAT(state[ALIENS + i])
        obs[i * CHANNELS + SHOT] = FLOAT(state[SHOTS + i])
        obs[i * CHANNELS + BOMB] = FLOAT(state[BOMBS + i])


SPACE_INVADERS = make_versions("SpaceInvaders", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
