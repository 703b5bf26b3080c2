"""A good environment of the user's own, and what `register` says of it with a mistake."""

from typing import Any

import pytest

import numasync
from numasync import RUNNING, TERMINATED, TRUNCATED, InputError, choice, uniform
from numasync.envs import REGISTERED
from numasync.runtime.jit import DISABLED

# For tests that need compiled functions.
compiler = pytest.mark.skipif(DISABLED, reason="needs the compiler")


LIMIT = 7


def reset(state, rng, obs):
    state[:] = 0
    state[0] = choice(rng, 3)
    obs[:] = state


def step(state, action, rng, obs):
    state[0] += action - 1
    state[1] += 1
    obs[:] = state
    if abs(state[0]) > 3:
        return -1.0, TERMINATED
    return uniform(rng), TRUNCATED if state[1] == LIMIT else RUNNING


GOOD = dict(reset=reset, step=step, observation_shape=(2,), n_actions=3, state_size=2)


def register(env_id: Any = "Trial-v0", **changes: Any) -> None:
    """Register the good environment with changes."""
    numasync.register(env_id, **{**GOOD, **changes})


def refusal(**changes: Any) -> InputError:
    """Return the error of `register` for the good environment with changes. It must leave nothing registered."""
    with pytest.raises(InputError) as refused:
        register(**changes)
    assert not REGISTERED
    return refused.value
