"""An environment of the user's own: `register` checks it, compiles it, and gives it an id."""

from types import FunctionType

import numpy as np

from numasync.envs import JITTED, REGISTERED
from numasync.envs.custom.compiling import compiled_copy, python_copy
from numasync.envs.custom.env_checker import check_env, compare
from numasync.envs.observation import Observation
from numasync.envs.spec import FAMILIES, RESET_TYPE, EnvSpec, JittedEnv
from numasync.errors import InputError
from numasync.runtime.jit import DISABLED, python_source

MOST_ACTIONS = 10_000
LARGEST_SIZE = 2**31


def register(env_id, reset, step, observation_shape, n_actions, state_size, family=None, bounds=None):
    """Make an environment of two plain Python functions known as `env_id`, to run compiled inside the loop.

    reset(state, rng, obs) starts an episode; step(state, action, rng, obs) plays an action and returns reward and end:
    RUNNING, TERMINATED, TRUNCATED or LIFE_LOST. Both write all of obs, float32 and flat. state: float64 (state_size,),
    all that the environment remembers; rng: for numasync.uniform and choice. observation_shape: (n,) for numbers,
    (height, width) or (height, width, channels) for an image. family: whose presets to train with; 'classic' for
    numbers, 'image' for an image, or 'minatar' or 'atari'. bounds: for continuous actions, of n_actions numbers each:
    their lowest and their highest values, to which step clips them; the family for numbers is then 'continuous'.

    The functions, and those that they call, may use what Numba compiles. They are first played at random and checked.
    Raises InputError, one sentence, for whatever is wrong; for a compile error the original stands below it.
    """
    check_id(env_id)
    check_function("reset", reset, ("state", "rng", "obs"))
    check_function("step", step, ("state", "action", "rng", "obs"))
    shape = checked_shape(observation_shape)
    usual = "image" if len(shape) > 1 else "classic" if bounds is None else "continuous"
    family = usual if family is None else family
    if family not in FAMILIES:
        raise InputError(f"{family!r} is no family of presets; choose one of {', '.join(FAMILIES)}.")
    actions = checked_size("n_actions", n_actions, 1, MOST_ACTIONS)
    observation = Observation("vector" if len(shape) == 1 else "image", shape)
    spec = EnvSpec(env_id, family, observation, actions, checked_bounds(bounds, actions))
    size = checked_size("state_size", state_size, 0)
    REGISTERED[env_id] = checked_env(JittedEnv(spec, reset, step, size))


def checked_env(env):
    """The environment compiled, after a rehearsal. Raises InputError, as `register` does, for the first mistake."""
    plain = env._replace(reset=python_copy(env.reset), step=python_copy(env.step))
    actions = check_env(plain)
    if DISABLED:
        return plain
    compiled = env._replace(
        reset=compiled_copy(env.reset, RESET_TYPE, f"reset of {env.spec.id}"),
        step=compiled_copy(env.step, env.spec.step_type, f"step of {env.spec.id}"),
    )
    compare(plain, compiled, actions)
    return compiled


def check_id(env_id):
    if not isinstance(env_id, str) or not env_id.strip() or ":" in env_id:
        raise InputError(f"The id is {env_id!r}; it must be a text without a colon, such as 'Game-v0'.")
    if env_id in JITTED:
        raise InputError(f"{env_id} is an environment of numasync's own; choose another id.")
    if env_id in REGISTERED:
        raise InputError(
            f"{env_id} is registered already; choose another id, or first del numasync.envs.REGISTERED[{env_id!r}]."
        )


def check_function(name, function, arguments):
    source = python_source(function)
    if not isinstance(source, FunctionType):
        raise InputError(f"{name} is {function!r}; it must be a Python function.")
    code = source.__code__
    # The flags 4 and 8 are *args and **kwargs.
    if code.co_argcount != len(arguments) or code.co_kwonlyargcount or code.co_flags & 12:
        raise InputError(
            f"{name} takes {code.co_varnames[: code.co_argcount]}; it must take {len(arguments)} arguments: "
            f"{', '.join(arguments)}."
        )


def checked_shape(shape):
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if not 1 <= len(sizes) <= 3 or not all(is_whole(n) and n >= 1 for n in sizes) or np.prod(sizes) > LARGEST_SIZE:
        raise InputError(
            f"observation_shape is {shape!r}; it must be (n,), (height, width) or (height, width, channels), whole "
            f"numbers from 1."
        )
    return tuple(int(n) for n in sizes)


def checked_bounds(bounds, n_actions):
    """The bounds of an EnvSpec."""
    if bounds is None:
        return None
    try:
        low, high = np.array(bounds, np.float64).reshape(2, n_actions)
    except (TypeError, ValueError):
        low = high = np.array([np.nan])
    if not (low < high).all():
        raise InputError(
            f"bounds is {bounds!r}; it must be the lowest and the highest values of an action, {n_actions} each."
        )
    return tuple(low.tolist()), tuple(high.tolist())


def checked_size(name, value, least, most=LARGEST_SIZE):
    if not is_whole(value) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}; it must be a whole number from {least} to {most}.")
    return int(value)


def is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
