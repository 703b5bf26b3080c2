"""MinAtar Breakout: a paddle on the bottom row keeps a ball in play that breaks three rows of bricks.

The ball moves one cell diagonally a step. It turns at the walls, at the top, at a brick, which it breaks for a reward
of 1, and at the paddle: straight on it, only upwards; on its corner, back where it came from. When all bricks are
gone, three rows are laid anew as the ball comes down. The game ends when the ball passes the paddle.
"""

from numasync.envs.jitted.minatar.board import LEFT, NOOP, RIGHT, SIZE, both_versions, light, sticky
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

# Channels of the observation. The trail is where the ball was a step ago: it shows the ball's direction.
PADDLE, BALL, TRAIL, BRICK, CHANNELS = range(5)

# The state row. HITTING: the ball was inside a brick the step before, and breaks no second one on its way out.
(LAST_ACTION, PADDLE_X, BALL_X, BALL_Y, BALL_DX, BALL_DY, TRAIL_X, TRAIL_Y, HITTING, BRICKS) = range(10)
TOP_BRICK, BRICK_ROWS = 1, 3
STATE_SIZE = BRICKS + BRICK_ROWS * SIZE

MINIMAL = (NOOP, LEFT, RIGHT)


@kernel
def reset(state, rng, obs):
    from_right = choice(rng, 2)
    state[:] = 0.0
    state[PADDLE_X] = 4.0
    state[BALL_X] = state[TRAIL_X] = 9.0 * from_right
    state[BALL_Y] = state[TRAIL_Y] = 3.0
    state[BALL_DX] = 1.0 - 2.0 * from_right
    state[BALL_DY] = 1.0
    state[BRICKS:] = 1.0
    draw(state, obs)


@kernel
def minimal_step(state, action, rng, obs):
    return step(state, MINIMAL[action], rng, obs)


@kernel
def step(state, action, rng, obs):
    move_paddle(state, sticky(state, action, rng))
    reward, end = move_ball(state)
    draw(state, obs)
    return reward, end


@kernel
def move_paddle(state, action):
    if action == LEFT:
        state[PADDLE_X] = max(state[PADDLE_X] - 1.0, 0.0)
    elif action == RIGHT:
        state[PADDLE_X] = min(state[PADDLE_X] + 1.0, SIZE - 1.0)


@kernel
def move_ball(state):
    """One diagonal step of the ball, and what it meets there."""
    reward, end = 0.0, RUNNING
    old_x, old_y = state[BALL_X], state[BALL_Y]
    x, y = old_x + state[BALL_DX], old_y + state[BALL_DY]
    if x < 0 or x > SIZE - 1:
        x = old_x
        state[BALL_DX] *= -1.0
    brick = brick_at(x, y)
    in_brick = brick >= 0 and state[brick] == 1.0
    if y < 0:
        y = 0.0
        state[BALL_DY] *= -1.0
    elif in_brick:
        if state[HITTING] == 0.0:
            reward = 1.0
            state[HITTING] = 1.0
            state[brick] = 0.0
            y = old_y
            state[BALL_DY] *= -1.0
    elif y == SIZE - 1:
        y, end = meet_paddle(state, x, y)
    if not in_brick:
        state[HITTING] = 0.0
    state[TRAIL_X], state[TRAIL_Y] = old_x, old_y
    state[BALL_X], state[BALL_Y] = x, y
    return reward, end


@kernel
def brick_at(x, y):
    """Where the brick of a cell is kept in the state row, or -1 above and below the three rows."""
    row = int(y) - TOP_BRICK
    return BRICKS + row * SIZE + int(x) if 0 <= row < BRICK_ROWS else -1


@kernel
def meet_paddle(state, x, y):
    """The ball, at state's position, is about to enter (x, y) on the bottom row: its new y, and how the step ends."""
    if not state[BRICKS:].any():
        state[BRICKS:] = 1.0
    if state[BALL_X] == state[PADDLE_X]:
        state[BALL_DY] *= -1.0
    elif x == state[PADDLE_X]:
        state[BALL_DX] *= -1.0
        state[BALL_DY] *= -1.0
    else:
        return y, TERMINATED
    return state[BALL_Y], RUNNING


@kernel
def draw(state, obs):
    obs[:] = FLOAT(0)
    light(obs, CHANNELS, SIZE - 1, state[PADDLE_X], PADDLE)
    light(obs, CHANNELS, state[BALL_Y], state[BALL_X], BALL)
    light(obs, CHANNELS, state[TRAIL_Y], state[TRAIL_X], TRAIL)
    for i in range(BRICK_ROWS * SIZE):
        obs[(TOP_BRICK * SIZE + i) * CHANNELS + BRICK] = FLOAT(state[BRICKS + i])


BREAKOUT = both_versions("Breakout", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
