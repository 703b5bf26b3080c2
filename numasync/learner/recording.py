"""Write down what the loop passes to the four functions that it gets, while it plays and learns.

The loop gets reset, step, algorithm and update as pointers. A Recorder gives it the four kernels below in their place.
They call back into Python, where the Recorder copies the arguments and calls the function that the run has. So every
number is the loop's own, and nothing of the loop is written twice.

A kernel cannot hold an object, so that the Recorder that records stands in a variable of this module. One thread plays.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from numasync.learner.loop import Worker
from numasync.runtime.jit import FLOAT, callback_kernel, float32, float64, int64, objmode

# The Recorder that records now, alone in its list.
RECORDING: "list[Recorder]" = []


@callback_kernel
def reset(state, rng, obs):
    """Call `on_reset` of the Recorder."""
    with objmode():
        call_reset(state, rng, obs)


@callback_kernel
def step(state, action, rng, obs):
    """Call `on_step` of the Recorder; return reward and end."""
    with objmode(reward=float64, end=int64):
        reward, end = call_step(state, action, rng, obs)
    return reward, end


@callback_kernel
def algorithm(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Call `on_algorithm` of the Recorder; return the loss."""
    with objmode(loss=float32):
        loss = call_algorithm(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta)
    return loss


@callback_kernel
def update(theta, grad, values, lr, decay, rms_eps, scale):
    """Call `on_update` of the Recorder."""
    with objmode():
        call_update(theta, grad, values, lr, decay, rms_eps, scale)


# Functions, because a kernel that named the list itself could not be cached on disk.
def call_reset(*arguments: Any) -> None:
    """Call `on_reset` of the Recorder."""
    RECORDING[-1].on_reset(*arguments)


def call_step(*arguments: Any) -> tuple[float, int]:
    """Call `on_step` of the Recorder."""
    return RECORDING[-1].on_step(*arguments)


def call_algorithm(*arguments: Any) -> float:
    """Call `on_algorithm` of the Recorder."""
    return RECORDING[-1].on_algorithm(*arguments)


def call_update(*arguments: Any) -> None:
    """Call `on_update` of the Recorder."""
    RECORDING[-1].on_update(*arguments)


class Step(NamedTuple):
    """What the environment got and gave in a step.

    action  an integer, or the array of a continuous action or of several integers, in the environment's own units
    reward  as the environment gave it, before it is clipped
    end     RUNNING, TERMINATED, TRUNCATED or LIFE_LOST
    """

    action: Any
    reward: float
    end: int


class Segment(NamedTuple):
    """What a worker had when a segment of n steps had been played, and what the algorithm made of it.

    d_outputs   d(loss)/d(outputs), (n, n_outputs)
    bootstrap   the outputs that the bootstrap reads, (capacity, n_outputs); rows that are not read have old numbers
    actions     as the policy drew them, the action that is planned for s_n too
    rewards     (capacity,), clipped
    """

    n: int
    terminated: bool
    loss: float
    d_outputs: np.ndarray
    bootstrap: np.ndarray
    obs: np.ndarray
    tape: np.ndarray
    bootstrap_tape: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


class Update(NamedTuple):
    """An update of a block of parameters, (n,) each: theta, gradient and g (or m) before, theta and g after."""

    at: int  # the first parameter of the block
    theta: np.ndarray
    grad: np.ndarray
    values: np.ndarray
    theta_after: np.ndarray
    values_after: np.ndarray
    lr: float
    scale: float


class Recorder:
    """Stands between the loop and the four functions that it gets. It keeps what they get and give in one segment.

    functions  the run's own (reset, step, algorithm, update)
    worker     the worker that plays
    theta      the shared parameters, float32 (n_parameters,)

    It also has these attributes: steps, segment and updates, as above.
    """

    kernels = (reset, step, algorithm, update)

    def __init__(self, functions: tuple[Callable, ...], worker: Worker, theta: np.ndarray) -> None:
        self.reset, self.step, self.algorithm, self.update = functions
        self.worker, self.theta = worker, theta
        self.steps: list[Step] = []
        self.segment: Segment | None = None
        self.updates: list[Update] = []

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record inside a `with` block, and forget what was recorded before."""
        self.steps, self.segment, self.updates = [], None, []
        RECORDING.append(self)
        try:
            yield
        finally:
            RECORDING.remove(self)

    def on_reset(self, state: np.ndarray, rng: np.ndarray, obs: np.ndarray) -> None:
        """Begin an episode."""
        self.reset(state, rng, obs)

    def on_step(self, state: np.ndarray, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[float, int]:
        """Play an action, and keep it with its reward and end."""
        played = action.copy() if isinstance(action, np.ndarray) else int(action)
        reward, end = self.step(state, action, rng, obs)
        self.steps.append(Step(played, float(reward), int(end)))
        return float(reward), int(end)

    def on_algorithm(self, d_outputs: np.ndarray, outputs: np.ndarray, bootstrap: np.ndarray, *rest: Any) -> float:
        """Compute d(loss)/d(outputs), and keep it with all that the worker has."""
        actions, rewards, action_map, n, terminated, gamma, beta = rest
        numbers = (int(n), bool(terminated), FLOAT(gamma), FLOAT(beta))
        loss = float(self.algorithm(d_outputs, outputs, bootstrap, actions, rewards, action_map, *numbers))
        worker = self.worker
        arrays = (d_outputs[:n], bootstrap, worker.obs, worker.tape, worker.scratch.bootstrap_tape, actions, rewards)
        self.segment = Segment(int(n), bool(terminated), loss, *(array.copy() for array in arrays))
        return loss

    def on_update(self, theta: np.ndarray, grad: np.ndarray, values: np.ndarray, *numbers: float) -> None:
        """Update a block of parameters, and keep it as it was before and is after."""
        lr, decay, rms_eps, scale = map(FLOAT, numbers)
        theta_before, grad_before, values_before = theta.copy(), grad.copy(), values.copy()
        self.update(theta, grad, values, lr, decay, rms_eps, scale)
        at = (theta.ctypes.data - self.theta.ctypes.data) // self.theta.itemsize
        before = at, theta_before, grad_before, values_before
        self.updates.append(Update(*before, theta.copy(), values.copy(), float(lr), float(scale)))
