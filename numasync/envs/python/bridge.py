"""The bridge from the compiled loop to environments in Python: two kernels, the same for all, that call back.

A kernel cannot hold an object. So the `state` of an environment in Python is one number: a handle, under which the
callback finds the environment in a table.

The callback holds the GIL. An exception that it raises passes through the loop to the loop's caller. Kernels count no
references, so the memory of `obs` and of an action that is an array can be gone after the callback: an environment that
wants to keep them keeps a copy.
"""

import itertools
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from numasync.envs.spec import RESET_TYPE, EnvSpec
from numasync.errors import InputError, one_line, warn_of
from numasync.runtime.jit import callback_kernel, compile_as, float64, int64, objmode
from numasync.runtime.memory import aligned_zeros

# The environments by handle. References are weak, so an environment that nobody uses any more is freed although nobody
# closed it. A handle is never given again, so the state of a freed environment cannot reach another one.
OPEN_ENVS: "WeakValueDictionary[int, PythonEnv]" = WeakValueDictionary()
HANDLES = itertools.count()

# An environment that wants a seed of its own draws it from 0 to SEEDS - 1.
SEEDS = 2**31 - 1


@callback_kernel
def reset(state, rng, obs):
    """Start an episode of the environment whose handle is in `state`."""
    handle = int(state[0])
    with objmode():
        call_reset(handle, rng, obs)


@callback_kernel
def step(state, action, rng, obs):
    """Play an action in the environment whose handle is in `state`; return reward and end."""
    handle = int(state[0])
    with objmode(reward=float64, end=int64):
        reward, end = call_step(handle, action, rng, obs)
    return reward, end


# These two are functions because a kernel that named the table itself could not be cached on disk.
def call_reset(handle: int, rng: np.ndarray, obs: np.ndarray) -> None:
    """Call `on_reset` of the environment with this handle."""
    env = OPEN_ENVS[handle]
    try:
        env.on_reset(rng, obs)
    except SystemExit as error:
        raise exit_error(env, "reset", error) from error


def call_step(handle: int, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[float, int]:
    """Call `on_step` of the environment with this handle; return its reward and end as the kernel expects them."""
    env = OPEN_ENVS[handle]
    try:
        reward, end = env.on_step(action, rng, obs)
    except SystemExit as error:  # some environments leave the program when their window is closed
        raise exit_error(env, "step", error) from error
    # Some environments return a reward of shape (1,). NumPy makes a float only of an array without dimensions.
    return float(reward.item() if isinstance(reward, np.ndarray) else reward), int(end)


def exit_error(env: "PythonEnv", name: str, error: SystemExit) -> InputError:
    """Return the InputError that says that an environment called sys.exit() in its function `name`."""
    return InputError(f"{name} of {env.spec.id} called sys.exit({error.code!r}).")


class PythonEnv:
    """The base class of environments in Python.

    A subclass defines two methods, which the kernels `reset` and `step` call back with the GIL held:

        on_reset(rng, obs)                          start an episode, write its first observation into obs
        on_step(action, rng, obs) -> reward, end    play one action, write the next observation into obs

    The arguments are explained in envs/spec.py. Make an environment before threads start, because the first one
    compiles the kernels.

    spec    what an agent must know of the environment
    handle  its number in OPEN_ENVS
    """

    jitted = False
    max_episode_steps: int | None = None
    steps_per_second: float | None = None
    # A kernel is a descriptor, as a function is. As a plain class attribute it would receive `self` as its state.
    reset = staticmethod(reset)
    step = staticmethod(step)

    def __init__(self, spec: EnvSpec) -> None:
        compile_as(reset, RESET_TYPE)
        compile_as(step, spec.step_type)
        self.spec = spec
        self.handle = next(HANDLES)
        OPEN_ENVS[self.handle] = self

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        """Start an episode and write its first observation into obs."""
        raise NotImplementedError

    def on_step(self, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[Any, int]:
        """Play one action and write the next observation into obs; return reward and end."""
        raise NotImplementedError

    def keep_history(self) -> None:
        """Prepare to be saved in the middle of an episode. It is called before the first reset, or never."""

    def save(self) -> np.ndarray | None:
        """Return what `restore` needs, int32 (n,), or None where it cannot go on in the middle of an episode."""
        return None

    def restore(self, saved: np.ndarray, obs: np.ndarray) -> None:
        """Go on in the middle of an episode, in a new environment.

        saved  what `save` returned
        obs    float32 (inputs,), where the last observation is written
        """
        raise NotImplementedError

    def prepare_pictures(self) -> bool:
        """Prepare `picture`. It is called before the first reset, or never. Return whether there are pictures.

        Raises InputError where a package is missing that draws them.
        """
        return False

    def picture(self) -> np.ndarray | None:
        """Return what a person sees now, uint8 (height, width, 3), or None where there is nothing to see."""
        return None

    def new_state(self) -> np.ndarray:
        """Return the handle as a state: float64 (1,)."""
        state = aligned_zeros((1,), np.float64)
        state[0] = self.handle
        return state

    def close(self) -> None:
        """Remove the environment from the table, and let it release what it holds. Warn where that fails."""
        OPEN_ENVS.pop(self.handle, None)
        try:
            self.release()
        except (Exception, SystemExit) as error:
            warn_of(f"{self.spec.id} failed to close with {type(error).__name__}: {one_line(error)}")

    def release(self) -> None:
        """Release what the environment holds. A subclass that holds something defines it."""
