"""What the five MinAtar games share: a 10 x 10 board, six actions, sticky actions, and two ids for each game.

Young and Tian 2019, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning
Experiments" (arXiv:1903.03176). Each game is written from its rules and plays in lockstep with the authors' package,
of which version 1.0.15 is the reference. The observation is the board as 10 x 10 x n channels of 0 and 1.
"""

from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import uniform

SIZE = 10

NOOP, LEFT, UP, RIGHT, DOWN, FIRE = range(6)

# Every game's state row begins with the action that was last played.
LAST_ACTION = 0
STICKINESS = 0.1


@kernel
def sticky(state, action, rng):
    """The action that is really played: with probability 0.1 the one before it again.

    Unlike the authors' package, a reset forgets the last action, so that an episode depends on nothing before it.
    """
    if uniform(rng) < STICKINESS:
        return int(state[LAST_ACTION])
    state[LAST_ACTION] = action
    return action


@kernel
def light(obs, channels, y, x, channel):
    """Set one cell of one channel. obs: flat (10, 10, channels)."""
    obs[(int(y) * SIZE + int(x)) * channels + channel] = FLOAT(1)


def both_versions(name, channels, n_minimal, reset, step, minimal_step, state_size):
    """The two environments of a game: -v0 with all six actions, -v1 with the n_minimal that do something in it."""
    observation = Observation("image", (SIZE, SIZE, channels))
    return (
        JittedEnv(EnvSpec(f"MinAtar/{name}-v0", "minatar", observation, 6), reset, step, state_size),
        JittedEnv(EnvSpec(f"MinAtar/{name}-v1", "minatar", observation, n_minimal), reset, minimal_step, state_size),
    )
