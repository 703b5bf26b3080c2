"""Environments in Python, as the compiled loop sees them: two kernels, the same for all of them, that call back.

A kernel cannot hold an object. So the `state` of an environment in Python is one number, its slot in a table of those
that are open, where the callback finds it. The GIL is held for the length of the callback, and an exception that it
raises passes through the loop to whoever called that. What a kernel passes on does not keep its memory alive, because
kernels count no references: an environment that wants to keep `obs` or a continuous action keeps a copy.
"""

import itertools
from weakref import WeakValueDictionary

import numpy as np

from numasync.envs.spec import RESET_TYPE
from numasync.runtime.jit import callback_kernel, compile_as, float64, int64, objmode
from numasync.runtime.memory import aligned_zeros

# Weak: an environment that nobody has closed goes when nobody knows it any more. Numbers are not used twice, so that
# the state of one that is gone never plays another.
OPEN_ENVS = WeakValueDictionary()
HANDLES = itertools.count()


@callback_kernel
def reset(state, rng, obs):
    handle = int(state[0])
    with objmode():
        restart(handle, rng, obs)


@callback_kernel
def step(state, action, rng, obs):
    handle = int(state[0])
    with objmode(reward=float64, end=int64):
        reward, end = play(handle, action, rng, obs)
    return reward, end


# A kernel that named the table itself could not be cached on disk.
def restart(handle, rng, obs):
    OPEN_ENVS[handle].restart(rng, obs)


def play(handle, action, rng, obs):
    reward, end = OPEN_ENVS[handle].play(action, rng, obs)
    return float(reward), int(end)


class PythonEnv:
    """The base of environments in Python, which have two methods of their own, called with the GIL held:

        restart(rng, obs)                       is what reset is in `interface.py`,
        play(action, rng, obs) -> reward, end   is what step is.

    To be made before threads start, because the first one compiles the kernels.
    """

    jitted = False
    # Kernels are descriptors, as functions are: as attributes of a class they would take `self` for their state.
    reset = staticmethod(reset)
    step = staticmethod(step)

    def __init__(self, spec):
        compile_as(reset, RESET_TYPE)
        compile_as(step, spec.step_type)
        self.spec = spec
        self.handle = next(HANDLES)
        OPEN_ENVS[self.handle] = self

    def new_state(self):
        """float64 (1,): the slot."""
        state = aligned_zeros((1,), np.float64)
        state[0] = self.handle
        return state

    def close(self):
        """Give the slot back; what else there is to release is the subclass's own."""
        OPEN_ENVS.pop(self.handle, None)
