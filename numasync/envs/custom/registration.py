"""The user's own environments: `register` checks one, compiles it, and gives it an id."""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numasync.envs import JITTED, REGISTERED
from numasync.envs.custom.compiling import copy_to_kernel, copy_to_python
from numasync.envs.custom.env_checker import check_env, compare
from numasync.envs.observation import Observation
from numasync.envs.spec import FAMILIES, RESET_TYPE, Bounds, EnvSpec, JittedEnv
from numasync.errors import InputError
from numasync.runtime.checks import as_number, as_whole_number, check_choice, show
from numasync.runtime.jit import DISABLED, python_source

MOST_ACTIONS = 10_000
LARGEST_SIZE = 2**31


def register(
    env_id: str,
    reset: Callable,
    step: Callable,
    observation_shape: tuple[int, ...] | list[int],
    n_actions: int | tuple[int, ...] | list[int],
    state_size: int,
    family: str | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    max_episode_steps: int | None = None,
) -> None:
    """Make two plain Python functions an environment with the id `env_id`. It runs compiled, inside the loop.

    The functions, with the arguments explained below:

        reset(state, rng, obs)                          start an episode, write its first observation into obs
        step(state, action, rng, obs) -> reward, end    play one action, write the next observation into obs

    They and their helpers may use whatever Numba compiles. They are checked in random play before they are registered.

    env_id             the environment's id, a text without a colon, such as 'Game-v0'
    reset              the function that starts an episode
    step               the function that plays one action
    observation_shape  (n,) for n numbers; (height, width) or (height, width, channels) for an image
    n_actions          how many actions there are, from 1 to 10,000; of a continuous action: how many numbers it has;
                       of several integers: how many values each has, such as (3, 2)
    state_size         how many numbers the environment keeps in `state`, 0 or more
    family             the family whose preset training uses: 'classic', 'image', 'minatar', 'atari' or 'continuous';
                       None: 'image' for an image, otherwise 'continuous' with bounds and 'classic' without
    bounds             None for integer actions; for continuous ones the lowest and the highest values, n_actions
                       numbers each, which may be infinite
    max_episode_steps  the most steps of an episode, where step ends it there; None: an evaluation ends an episode that
                       goes on for very long

    The arguments and results of reset and step:

    state   float64 (state_size,): all that the environment keeps from step to step; zeros before the first reset
    action  an integer from 0 to n_actions - 1; float32 (n_actions,), within the bounds; or int64 (k,), each from 0 on
    rng     the generator row for numasync.uniform, normal and choice, the only source of random numbers
    obs     float32, flat: every element must be written
    reward  a finite number
    end     numasync.RUNNING, TERMINATED, TRUNCATED or LIFE_LOST

    Raises InputError, one sentence, for the first mistake in an argument or a function. If a function cannot be
    compiled, the compiler's own message stands below the sentence.
    """
    check_id(env_id)
    check_function("reset", reset, ("state", "rng", "obs"))
    check_function("step", step, ("state", "action", "rng", "obs"))
    shape = parse_shape(observation_shape)
    fitting = "image" if len(shape) > 1 else "classic" if bounds is None else "continuous"
    family = fitting if family is None else family
    check_choice(family, FAMILIES, "no family of presets")
    observation = Observation("vector" if len(shape) == 1 else "image", shape)
    spec = EnvSpec(env_id, family, observation, **parse_actions(n_actions, bounds))
    size = as_whole_number("state_size", state_size, 0, LARGEST_SIZE)
    limit = None if max_episode_steps is None else as_whole_number("max_episode_steps", max_episode_steps, 1)
    compiled = check_and_compile(JittedEnv(spec, reset, step, size, max_episode_steps=limit))
    if REGISTERED.setdefault(env_id, compiled) is not compiled:  # by another thread, while this one compiled
        raise already_registered(env_id)


def check_and_compile(env: JittedEnv) -> JittedEnv:
    """Check an environment of plain Python functions and return it with compiled ones.

    Raises InputError, as `register` does, for the first mistake.
    """
    plain = env._replace(reset=copy_to_python(env.reset), step=copy_to_python(env.step))
    actions = check_env(plain)
    if DISABLED:
        return plain
    compiled = env._replace(
        reset=copy_to_kernel(env.reset, RESET_TYPE, f"reset of {env.spec.id}"),
        step=copy_to_kernel(env.step, env.spec.step_type, f"step of {env.spec.id}"),
    )
    compare(plain, compiled, actions)
    return compiled


def check_id(env_id: Any) -> None:
    """Raise InputError unless `env_id` is a free id."""
    if not isinstance(env_id, str) or not env_id.strip() or ":" in env_id or not env_id.isprintable():
        raise InputError(f"The id is {show(env_id)}; it must be a text without a colon, such as 'Game-v0'.")
    if env_id in JITTED:
        raise InputError(f"{env_id} is an environment of numasync's own; choose another id.")
    if env_id in REGISTERED:
        raise already_registered(env_id)


def already_registered(env_id: str) -> InputError:
    """Return the error that says that there is an environment of this id."""
    return InputError(
        f"{env_id} is registered already; choose another id, or first del numasync.envs.REGISTERED[{env_id!r}]."
    )


def check_function(name: str, function: Any, arguments: tuple[str, ...]) -> None:
    """Raise InputError, with `name`, unless `function` takes exactly the positional `arguments`."""
    source = python_source(function)
    if not isinstance(source, FunctionType):
        raise InputError(f"{name} is {show(function)}; it must be a Python function.")
    code = source.__code__
    # The flags 4 and 8 are *args and **kwargs.
    if code.co_argcount != len(arguments) or code.co_kwonlyargcount or code.co_flags & 12:
        raise InputError(
            f"{name} takes {code.co_varnames[: code.co_argcount]}; it must take {len(arguments)} arguments: "
            f"{', '.join(arguments)}."
        )


def parse_shape(shape: Any) -> tuple[int, ...]:
    """Return an observation shape as a tuple of ints. Raises InputError if it is not one."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    numbers = [as_number(n, 1, LARGEST_SIZE) for n in sizes]
    whole = [n for n in numbers if isinstance(n, int)]
    if not 1 <= len(sizes) <= 3 or len(whole) < len(sizes) or math.prod(whole) > LARGEST_SIZE:
        raise InputError(
            f"observation_shape is {show(shape)}; it must be (n,), (height, width) or (height, width, channels), whole "
            f"numbers from 1."
        )
    return tuple(whole)


def parse_actions(n_actions: Any, bounds: Any) -> dict[str, Any]:
    """Return what an EnvSpec says of actions, by its fields. Raises InputError where it is not allowed."""
    if not isinstance(n_actions, (tuple, list)):
        numbers = as_whole_number("n_actions", n_actions, 1, MOST_ACTIONS)
        return {"n_actions": numbers, "bounds": parse_bounds(bounds, numbers)}
    if bounds is not None:
        raise InputError(f"n_actions is {show(n_actions)}; with bounds it must be how many numbers an action has.")
    nvec = tuple(as_whole_number("A number of n_actions", n, 1, MOST_ACTIONS) for n in n_actions)
    if not 1 <= sum(nvec) <= MOST_ACTIONS:
        raise InputError(f"The numbers of n_actions sum to {sum(nvec)}; they must sum to 1 to {MOST_ACTIONS}.")
    return {"n_actions": len(nvec), "nvec": nvec, "action_dtype": "int64"}


def parse_bounds(bounds: Any, n_actions: int) -> Bounds | None:
    """Return bounds as in an EnvSpec. Raises InputError unless there are n_actions lowest and highest values."""
    if bounds is None:
        return None
    try:
        low, high = np.array(bounds, np.float64).reshape(2, n_actions)
    except Exception:  # NumPy raises in its own ways, and what the attributes of an object raise
        low = high = np.array([np.nan])
    if not (low < high).all():
        raise InputError(
            f"bounds is {show(bounds)}; it must be the lowest and the highest values of an action, {n_actions} each."
        )
    return tuple(low.tolist()), tuple(high.tolist())
