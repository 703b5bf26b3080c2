"""What the loop knows of an environment: two functions, one typed signature, and how a step ends.

    reset(state, rng, obs)                        starts an episode and writes its first observation into obs
    step(state, action, rng, obs) -> reward, end   plays one action and writes the next observation into obs

state: float64, from the environment's new_state(); all that a jitted one remembers. action: an int; a continuous one is
float32 (n_actions,), as the policy drew it, and step clips it to its bounds. rng: the worker's generator row, see
`rng.py`. obs: float32 (inputs,), owned by the caller. Both functions are kernels, also those of an environment in
Python, which call it back: see `python.py`.
"""

from typing import Callable, NamedTuple

import numpy as np

from numasync.envs.observation import Observation
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT, float32_1d, float64_1d, function_type, int64, none, reward_end, uint64_1d
from numasync.runtime.memory import aligned_zeros
from numasync.runtime.rng import choice, uniform

# `end`, the second result of step. One code says what Gymnasium's two flags say, without the case where both are set,
# and what they cannot say: after a lost life nothing may be bootstrapped, and yet the episode goes on.
RUNNING = 0
TERMINATED = 1  # no reward can follow: bootstrap from 0
TRUNCATED = 2  # a time limit: the episode is over, but the value of the last state is not 0
LIFE_LOST = 3  # terminal for the learner only: the episode and its score go on

RESET_TYPE = function_type(none, float64_1d, uint64_1d, float32_1d)
STEP_TYPE = function_type(reward_end, float64_1d, int64, uint64_1d, float32_1d)
CONTINUOUS_STEP_TYPE = function_type(reward_end, float64_1d, float32_1d, uint64_1d, float32_1d)


# Kinds of environments for which there are presets.
FAMILIES = ("classic", "image", "minatar", "atari", "continuous")


class EnvSpec(NamedTuple):
    """What an agent must know of an environment to be built, saved and used without it.

    id: as the user writes it. family: one of FAMILIES; chooses the preset. n_actions: how many actions there are, or of
    how many numbers a continuous one consists. bounds: the lowest and the highest continuous action, a tuple of
    n_actions numbers each; None where actions are counted.
    """

    id: str
    family: str
    observation: Observation
    n_actions: int
    bounds: tuple | None = None

    @property
    def continuous(self):
        return self.bounds is not None

    @property
    def step_type(self):
        """Of the step function, for the compiler."""
        return CONTINUOUS_STEP_TYPE if self.continuous else STEP_TYPE

    def check_compatible(self, found):
        """Raise InputError unless what was trained on this environment can play one of EnvSpec `found`."""
        own, other = ((s.observation.network_shape, s.n_actions, s.bounds) for s in (self, found))
        if own != other:
            raise InputError(
                f"{found.id} is not what the agent was trained on: observations, number of actions and bounds of actions "
                f"are {', '.join(map(str, other))}; the agent knows {', '.join(map(str, own))}."
            )

    def new_actions(self, rows):
        """Room for `rows` actions: int64 (rows,), or float32 (rows, n_actions)."""
        return aligned_zeros((rows, self.n_actions), FLOAT) if self.continuous else aligned_zeros((rows,), np.int64)

    @property
    def finite_bounds(self):
        """Where to draw continuous actions: (low, high), (n_actions,) each. For a bound that is infinite -1 or 1, or
        where the other bound leaves no room for that, what is 1 away from it."""
        low, high = np.array(self.bounds)
        below, above = np.minimum(high - 1.0, -1.0), np.maximum(low + 1.0, 1.0)
        return np.where(np.isinf(low), below, low), np.where(np.isinf(high), above, high)

    def random_action(self, rng):
        """Each action with the same probability; a continuous one between `finite_bounds`."""
        if not self.continuous:
            return int(choice(rng, self.n_actions))
        low, high = self.finite_bounds
        return (low + (high - low) * [uniform(rng) for _ in range(self.n_actions)]).astype(FLOAT)


class JittedEnv(NamedTuple):
    """An environment that runs without the GIL: an EnvSpec, two kernels, and the length of their state."""

    spec: EnvSpec
    reset: Callable
    step: Callable
    state_size: int
    jitted: bool = True

    def new_state(self):
        """The state of one more player: float64 (state_size,), zeros."""
        return aligned_zeros((self.state_size,), np.float64)

    def close(self):
        """Nothing to release; environments in Python have something."""
