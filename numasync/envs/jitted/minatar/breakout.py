"""MinAtar Breakout: a ball breaks three rows of bricks, and a paddle on the bottom row keeps it in play.

The ball moves one cell diagonally a step. It bounces off the walls, the top, the bricks and the paddle. The middle of
the paddle sends it up, the corner sends it back where it came from. A broken brick is a reward of 1.

When all bricks are broken, three new rows appear as the ball comes down. The game ends when the ball passes the paddle.
"""

from numasync.envs.jitted.minatar.board import LEFT, NOOP, RIGHT, SIZE, choose_sticky, make_versions, set_cell
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

# Channels of the observation. The trail is the ball's last cell: it shows the direction.
PADDLE, BALL, TRAIL, BRICK, CHANNELS = range(5)

# The state. HITTING: 1 if the ball was inside a brick the step before; it breaks no second brick on its way out.
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
    move_paddle(state, choose_sticky(state, action, rng))
    reward, end = move_ball(state)
    draw(state, obs)
    return reward, end


@kernel
def move_paddle(state, action):
    """Move the paddle by one cell, if that is the action."""
    if action == LEFT:
        state[PADDLE_X] = max(state[PADDLE_X] - 1.0, 0.0)
    elif action == RIGHT:
        state[PADDLE_X] = min(state[PADDLE_X] + 1.0, SIZE - 1.0)


@kernel
def move_ball(state):
    """Move the ball by one cell; return the reward and how the step ends."""
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
    """Return the place of a cell's brick in the state, or -1 above and below the three rows."""
    row = int(y) - TOP_BRICK
    return BRICKS + row * SIZE + int(x) if 0 <= row < BRICK_ROWS else -1


@kernel
def meet_paddle(state, x, y):
    """Let the ball enter (x, y) on the bottom row, from its position in the state; return y and how the step ends."""
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
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    set_cell(obs, CHANNELS, SIZE - 1, state[PADDLE_X], PADDLE)
    set_cell(obs, CHANNELS, state[BALL_Y], state[BALL_X], BALL)
    set_cell(obs, CHANNELS, state[TRAIL_Y], state[TRAIL_X], TRAIL)
    for i in range(BRICK_ROWS * SIZE):
        obs[(TOP_BRICK * SIZE + i) * CHANNELS + BRICK] = FLOAT(state[BRICKS + i])


BREAKOUT = make_versions("Breakout", CHANNELS, len(MINIMAL), reset, step, minimal_step, STATE_SIZE)
