"""What the five MinAtar games share: a 10 x 10 board, six actions, sticky actions, and two ids for each game.

The observation is the board as an image of 10 x 10 x n channels of 0 and 1. Each game is written from its rules and
plays in lockstep with the authors' package, version 1.0.15.

Source: Young and Tian 2019, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning
Experiments" (arXiv:1903.03176).
"""

from collections.abc import Callable

from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import uniform

SIZE = 10

NOOP, LEFT, UP, RIGHT, DOWN, FIRE = range(6)

# The state of every game begins with the last action.
LAST_ACTION = 0
STICKINESS = 0.1


@kernel
def choose_sticky(state, action, rng):
    """Return the action to play: the last one again with probability 0.1, otherwise `action`.

    A reset clears the last action, so an episode depends on nothing before it. The authors' package keeps it.
    """
    if uniform(rng) < STICKINESS:
        return int(state[LAST_ACTION])
    state[LAST_ACTION] = action
    return action


@kernel
def set_cell(obs, channels, y, x, channel):
    """Set cell (y, x) of a channel to 1. obs: flat (10, 10, channels)."""
    obs[(int(y) * SIZE + int(x)) * channels + channel] = FLOAT(1)


def make_versions(
    name: str,
    channels: int,
    n_minimal: int,
    reset: Callable,
    step: Callable,
    minimal_step: Callable,
    state_size: int,
) -> tuple[JittedEnv, JittedEnv]:
    """Return the two environments of a game: -v0 with all six actions, -v1 with the actions that it uses.

    name          the game's name in the ids
    channels      how many channels the observation has
    n_minimal     how many actions the game uses
    reset         the kernel that starts an episode
    step          the kernel that plays one of six actions
    minimal_step  the kernel that plays one of the n_minimal actions
    state_size    how many numbers the state has
    """
    observation = Observation("image", (SIZE, SIZE, channels))
    return (
        JittedEnv(EnvSpec(f"MinAtar/{name}-v0", "minatar", observation, 6), reset, step, state_size),
        JittedEnv(EnvSpec(f"MinAtar/{name}-v1", "minatar", observation, n_minimal), reset, minimal_step, state_size),
    )
