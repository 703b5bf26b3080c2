"""Catch: a ball falls down a 10 x 5 board, a paddle on the bottom row moves left (0), stays (1) or moves right (2).

Reward +1 if the paddle is under the ball when it lands, else -1, and 0 before; the episode is then over. The
observation is the board as pixels: 1 where the ball or the paddle is, else 0. The game of Mnih et al. 2014 (recurrent
attention), in the size of bsuite (Osband et al. 2020).
"""

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

ROWS = 10
COLUMNS = 5

BALL_ROW, BALL_COLUMN, PADDLE = range(3)


@kernel
def reset(state, rng, obs):
    state[BALL_ROW] = 0
    state[BALL_COLUMN] = choice(rng, COLUMNS)
    state[PADDLE] = COLUMNS // 2
    draw(state, obs)


@kernel
def step(state, action, rng, obs):
    state[PADDLE] = min(max(state[PADDLE] + action - 1, 0), COLUMNS - 1)
    state[BALL_ROW] += 1
    draw(state, obs)
    if state[BALL_ROW] < ROWS - 1:
        return 0.0, RUNNING
    return (1.0 if state[BALL_COLUMN] == state[PADDLE] else -1.0), TERMINATED


@kernel
def draw(state, obs):
    obs[:] = FLOAT(0)
    obs[int(state[BALL_ROW]) * COLUMNS + int(state[BALL_COLUMN])] = FLOAT(1)
    obs[(ROWS - 1) * COLUMNS + int(state[PADDLE])] = FLOAT(1)


CATCH = JittedEnv(EnvSpec("Catch-v0", "image", Observation("image", (ROWS, COLUMNS)), 3), reset, step, 3)
