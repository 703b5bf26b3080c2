"""What the loop knows of an environment: two functions of fixed signature, and a code that says how a step ends.

    reset(state, rng, obs)                          Start an episode and write its first observation into obs.
    step(state, action, rng, obs) -> reward, end    Play one action and write the next observation into obs.

    state   float64 (state_size,), from the environment's new_state(). A jitted environment keeps everything in it.
    action  int64; a continuous one is float32 (n_actions,), in the environment's own units and within its bounds; an
            action of several integers is int64 (n_actions,), each from 0 on.
    rng     uint64 (4,): the worker's generator row, see runtime/rng.py.
    obs     float32 (inputs,), owned by the caller.
    reward  float64.
    end     int64: RUNNING, TERMINATED, TRUNCATED or LIFE_LOST.

Both functions are kernels. The kernels of an environment in Python call back into it, see python/bridge.py.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from numasync.envs.observation import Observation
from numasync.errors import InputError
from numasync.runtime.checks import MOST, check_whole_number, show
from numasync.runtime.jit import (
    FLOAT,
    float32_1d,
    float64_1d,
    function_type,
    int64,
    int64_1d,
    kernel,
    none,
    reward_end,
    uint64_1d,
)
from numasync.runtime.memory import aligned_copy, aligned_zeros
from numasync.runtime.rng import choice_in_python, uniform_in_python

# The codes of `end`. Gymnasium's two flags can both be set; one code cannot. It can also say that a life is lost, where
# nothing may be bootstrapped although the episode goes on.
RUNNING = 0
TERMINATED = 1  # no reward can follow: bootstrap from 0
TRUNCATED = 2  # a time limit: the episode is over, but the value of its last state is not 0
LIFE_LOST = 3  # terminal for the learner only: the episode and its score go on

RESET_TYPE = function_type(none, float64_1d, uint64_1d, float32_1d)
STEP_TYPE = function_type(reward_end, float64_1d, int64, uint64_1d, float32_1d)
CONTINUOUS_STEP_TYPE = function_type(reward_end, float64_1d, float32_1d, uint64_1d, float32_1d)
MULTI_DISCRETE_STEP_TYPE = function_type(reward_end, float64_1d, int64_1d, uint64_1d, float32_1d)

# The kinds of environments that have presets.
FAMILIES = ("classic", "image", "minatar", "atari", "continuous")

# The lowest and the highest value of each number of a continuous action.
Bounds = tuple[tuple[float, ...], tuple[float, ...]]

# The rows of the action map of continuous actions, see EnvSpec.action_map.
CENTRE, HALF_RANGE, LOWEST, HIGHEST = range(4)


@kernel
def episode_over(end):
    """Return whether a step with the code `end` ends the episode. A lost life does not."""
    return end == TERMINATED or end == TRUNCATED


@kernel
def map_action(action, u, action_map):
    """Write the action that the environment gets for the action u of the policy, both (n_actions,).

    Integers stay as they are. A continuous action is centre + half_range u, clipped to the bounds. A NaN stays a NaN.
    `action` and `u` may be the same array.
    """
    if action_map.ndim == 1:
        for j in range(u.size):
            action[j] = u[j]
    else:
        for j in range(u.size):
            value = action_map[CENTRE, j] + action_map[HALF_RANGE, j] * u[j]
            if value < action_map[LOWEST, j]:
                value = action_map[LOWEST, j]
            if value > action_map[HIGHEST, j]:
                value = action_map[HIGHEST, j]
            action[j] = value


class EnvSpec(NamedTuple):
    """What an agent must know of an environment, to be built, saved and used without it.

    id           the id, as the user writes it
    family       one of FAMILIES; it chooses the preset
    observation  how an observation becomes the network's input
    n_actions    how many actions there are to choose from; of an action that is an array: how many numbers it has
    bounds       the lowest and the highest continuous action, n_actions numbers each; None where actions are integers

    These fields say how an environment of Gymnasium writes an action; `reset` and `step` do not use them:

    action_start  the lowest integer; of several integers the lowest of each, or one for all
    action_shape  the shape of an action that is an array; None for (n_actions,)
    action_dtype  the name of its dtype

    This one says in which numbers an agent thinks of a continuous action:

    normalized_actions  true: its policy works in [-1, 1] where bounds are finite, see `action_map`; false: in the
                        environment's own units, as every agent of version 0.2.0.dev0

    These fields are from Gymnasium too:

    nvec        how many values each integer of an action has, n_actions numbers, as in MultiDiscrete; None where an
                action is one integer, or is continuous
    env_kwargs  the keywords that made the environment, as JSON holds them; None for none
    """

    id: str
    family: str
    observation: Observation
    n_actions: int
    bounds: Bounds | None = None
    action_start: Any = 0
    action_shape: tuple[int, ...] | None = None
    action_dtype: str = "float32"
    normalized_actions: bool = True
    nvec: tuple[int, ...] | None = None
    env_kwargs: dict[str, Any] | None = None

    @property
    def continuous(self) -> bool:
        """Whether an action is an array of real numbers, not an integer."""
        return self.bounds is not None

    @property
    def multi_discrete(self) -> bool:
        """Whether an action is an array of integers."""
        return self.nvec is not None

    @property
    def action_heads(self) -> tuple[int, ...]:
        """The sizes of the network's outputs that choose an action."""
        return self.nvec or (self.n_actions,)

    @property
    def step_type(self) -> Any:
        """The function type of step, for the compiler."""
        return CONTINUOUS_STEP_TYPE if self.continuous else MULTI_DISCRETE_STEP_TYPE if self.nvec else STEP_TYPE

    def check_actions(self) -> None:
        """Raise InputError unless the fields of actions fit each other. Kernels read bounds and nvec unchecked."""
        n = self.n_actions
        check_whole_number("n_actions", n, 1)
        if self.bounds is not None and self.nvec is not None:
            raise InputError("An EnvSpec has both bounds and nvec; an action is real numbers or integers.")
        if self.bounds is not None and not are_bounds(self.bounds, n):
            given = f"bounds is {show(self.bounds)}"
            raise InputError(f"{given}; it must be the lowest and the highest values of an action, {n} each.")
        if self.nvec is not None and not (isinstance(self.nvec, (tuple, list)) and len(self.nvec) == n):
            raise InputError(
                f"nvec is {show(self.nvec)}; it must be a tuple with a whole number for each of {n} integers."
            )
        for size in self.nvec or ():
            check_whole_number("A number of nvec", size, 1)
        self._check_written_actions(n)

    def _check_written_actions(self, n: int) -> None:
        """Check the fields that say how Gymnasium writes an action of n numbers, or of n values."""
        several = self.nvec is not None and isinstance(self.action_start, (tuple, list)) and len(self.action_start) == n
        for start in self.action_start if several else [self.action_start]:
            check_whole_number("action_start", start, *((0, 0) if self.bounds is not None else (-MOST, MOST)))
        shape = self.action_shape
        if shape is not None and self.bounds is None and self.nvec is None:
            raise InputError(f"action_shape is {show(shape)}; it must be None, because an action is one integer.")
        if shape is not None and not (isinstance(shape, (tuple, list)) and is_shape_of(shape, n)):
            raise InputError(f"action_shape is {show(shape)}; it must be None or the shape of an array of {n} numbers.")
        if not is_dtype_of_numbers(self.action_dtype):
            raise InputError(
                f"action_dtype is {show(self.action_dtype)}; it must be the name of a dtype of numbers, such as "
                "'float32'."
            )

    def check_compatible(self, found: "EnvSpec") -> None:
        """Raise InputError unless an agent that was trained on this environment can play the environment `found`."""
        own, other = ((s.observation.network_shape, s.nvec or s.n_actions, s.bounds) for s in (self, found))
        if own != other:
            raise InputError(
                f"{found.id} is not what the agent was trained on: its observation shape, number of actions and action "
                f"bounds are {', '.join(map(str, other))}; the agent expects {', '.join(map(str, own))}."
            )

    def new_actions(self, rows: int) -> np.ndarray:
        """Return an array for `rows` actions.

        It is int64 (rows,). Continuous ones are float32 (rows, n_actions), several integers int64 (rows, n_actions).
        """
        if self.continuous:
            return aligned_zeros((rows, self.n_actions), FLOAT)
        return aligned_zeros((rows, len(self.nvec)) if self.nvec else (rows,), np.int64)

    def env_action(self, action: Any, bounds: np.ndarray | None) -> int | np.ndarray:
        """Return an action of the policy as Gymnasium's space of actions contains it: a new array, or an int.

        action  an element of `new_actions`
        bounds  the bounds as an array, float64 (2, n_actions)
        """
        if bounds is None and self.nvec is None:
            return int(action) + self.action_start
        return np.asarray(self.env_actions(action[None], bounds)[0])

    def env_actions(self, actions: np.ndarray, bounds: np.ndarray | None) -> np.ndarray:
        """Return `env_action` of each of `actions`, as one new array: (n,), or (n, *shape of an action)."""
        own = actions + self.action_start if bounds is None else np.minimum(np.maximum(actions, bounds[0]), bounds[1])
        if bounds is None and self.nvec is None:
            return own
        shape = (self.n_actions,) if self.action_shape is None else self.action_shape
        return own.astype(self.action_dtype).reshape(len(actions), *shape)

    @property
    def action_map(self) -> np.ndarray:
        """The map from the policy to the actions of the environment, for the kernels that choose and play an action.

        Continuous actions: float32 (4, n_actions), for `map_action`. A number with two finite bounds lies between them
        where the policy's number lies in [-1, 1]. Its row CENTRE is the middle of the bounds, HALF_RANGE half their
        distance. Any other number stays as it is. LOWEST and HIGHEST are the bounds, rounded inwards.

        Several integers: int64 (n_actions + 1,). The outputs from action_map[j] to action_map[j + 1] choose integer j.

        One integer: float32 (4, 1), which is not used.
        """
        if self.nvec is not None:
            return aligned_copy(np.cumsum([0, *self.nvec], dtype=np.int64))
        if self.bounds is None:
            return aligned_zeros((4, 1), FLOAT)
        low, high = np.array(self.bounds)
        with np.errstate(over="ignore"):
            lowest, highest = low.astype(FLOAT), high.astype(FLOAT)
        mapped = self.normalized_actions & np.isfinite(lowest) & np.isfinite(highest)
        lowest = np.where(lowest < low, np.nextafter(lowest, FLOAT(np.inf)), lowest)
        highest = np.where(highest > high, np.nextafter(highest, FLOAT(-np.inf)), highest)
        low, high = np.where(mapped, low, -1.0), np.where(mapped, high, 1.0)
        return aligned_copy(np.array([low / 2 + high / 2, high / 2 - low / 2, lowest, highest], FLOAT))

    @property
    def finite_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest continuous action to draw at random: float64 (n_actions,) each.

        A finite bound stays as it is. An infinite lower bound becomes min(-1, highest - 1), an infinite upper bound
        max(1, lowest + 1).
        """
        low, high = np.array(self.bounds)
        below, above = np.minimum(high - 1.0, -1.0), np.maximum(low + 1.0, 1.0)
        return np.where(np.isinf(low), below, low), np.where(np.isinf(high), above, high)

    def random_action(self, rng: np.ndarray) -> int | np.ndarray:
        """Draw an action uniformly: an int, int64 (n_actions,), or float32 (n_actions,) between the `finite_bounds`.

        rng  uint64 (4,): a generator row; it is advanced
        """
        if self.nvec is not None:
            return np.array([choice_in_python(rng, n) for n in self.nvec], np.int64)
        if not self.continuous:
            return choice_in_python(rng, self.n_actions)
        low, high = self.finite_bounds
        return (low + (high - low) * [uniform_in_python(rng) for _ in range(self.n_actions)]).astype(FLOAT)


def are_bounds(bounds: Any, n: int) -> bool:
    """Return whether these are the lowest and the highest value of each of n numbers. Each has a value in between."""
    try:
        low, high = (np.array(bound, np.float64) for bound in bounds)
    except Exception:  # NumPy raises in its own ways
        return False
    right = low.shape == high.shape == (n,)
    return right and bool(((low <= high) & (low < np.inf) & (high > -np.inf)).all())


def is_shape_of(shape: Sequence[Any], n: int) -> bool:
    """Return whether an array of n numbers can have this shape."""
    return all(type(size) is int and size > 0 for size in shape) and math.prod(shape) == n


def is_dtype_of_numbers(name: Any) -> bool:
    """Return whether this is the name of a dtype of numbers, such as 'float32'."""
    try:
        found = np.dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError, SyntaxError):
        return False
    return found is not None and found.kind in "biuf" and found.name == name


class Environment(Protocol):
    """What the loop needs of an environment. JittedEnv and PythonEnv have it."""

    @property
    def spec(self) -> EnvSpec:
        """What an agent must know of it."""

    @property
    def reset(self) -> Callable:
        """The kernel that starts an episode."""

    @property
    def step(self) -> Callable:
        """The kernel that plays an action."""

    @property
    def jitted(self) -> bool:
        """Whether it runs without the GIL."""

    @property
    def max_episode_steps(self) -> int | None:
        """The most steps of an episode, if the environment says that it ends there; else None."""

    def new_state(self) -> np.ndarray:
        """Return the `state` argument of reset and step for one more worker."""

    def keep_history(self) -> None:
        """Prepare to be saved in the middle of an episode. It is called before the first reset, or never."""

    def save(self) -> np.ndarray | None:
        """Return what an environment in Python needs to go on in the middle of an episode, int32 (n,), or None."""

    def restore(self, saved: np.ndarray, obs: np.ndarray) -> None:
        """Go on in the middle of an episode from what `save` returned, and write its last observation into obs."""

    def prepare_pictures(self) -> bool:
        """Prepare `picture`. It is called before the first reset, or never. Return whether there are pictures."""

    def picture(self) -> np.ndarray | None:
        """Return what a person sees now, uint8 (height, width, 3), or None where there is nothing to see."""

    @property
    def steps_per_second(self) -> float | None:
        """How many steps a second of the game has, where the environment says it; else None."""

    def close(self) -> None:
        """Release what it holds."""


class JittedEnv(NamedTuple):
    """An environment of two kernels, which run without the GIL.

    spec        what an agent must know of it
    reset       the kernel that starts an episode
    step        the kernel that plays an action
    state_size  how many numbers its state has
    jitted      true; an environment in Python says false
    max_episode_steps  the most steps of an episode, where step ends it there and they are very many
    """

    spec: EnvSpec
    reset: Callable
    step: Callable
    state_size: int
    jitted: bool = True
    max_episode_steps: int | None = None

    @property
    def steps_per_second(self) -> None:
        """None: its time is its steps."""

    def new_state(self) -> np.ndarray:
        """Return the state of one more worker: zeros, float64 (state_size,)."""
        return aligned_zeros((self.state_size,), np.float64)

    def keep_history(self) -> None:
        """Do nothing. Its state has everything."""

    def save(self) -> None:
        """Return None: its state has everything."""

    def restore(self, saved: np.ndarray, obs: np.ndarray) -> None:
        """Do nothing: its state has everything."""

    def prepare_pictures(self) -> bool:
        """Return false. Its observation is all that there is to see."""
        return False

    def picture(self) -> None:
        """Return None: it draws nothing."""

    def close(self) -> None:
        """Do nothing. An environment in Python has something to release."""
