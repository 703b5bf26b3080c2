"""Catch: a ball falls down a board of 10 x 5 cells, and a paddle on the bottom row catches it.

The actions move the paddle left (0), not at all (1) or right (2). The episode ends when the ball lands. The reward is
then +1 if the paddle is under the ball, otherwise -1. Before, it is 0. The observation is the board as an image: 1 for
the ball and the paddle, otherwise 0.

Source: Mnih et al. 2014, "Recurrent models of visual attention", in the size of bsuite (Osband et al. 2020).
"""

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

ROWS = 10
COLUMNS = 5

# The state: the ball's row and column, and the paddle's column.
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
    """Write the observation of a state."""
    obs[:] = FLOAT(0)
    obs[int(state[BALL_ROW]) * COLUMNS + int(state[BALL_COLUMN])] = FLOAT(1)
    obs[(ROWS - 1) * COLUMNS + int(state[PADDLE])] = FLOAT(1)


CATCH = JittedEnv(EnvSpec("Catch-v0", "image", Observation("image", (ROWS, COLUMNS)), 3), reset, step, 3)
