"""Making an environment of Gymnasium from an id, an EnvSpec, a function or a class. A failure is one sentence."""

import contextlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from numasync.envs.kwargs import unknown_keyword
from numasync.envs.nearest import find_nearest_id
from numasync.errors import InputError, one_line
from numasync.runtime.checks import show

# The environments that functions of a user have made and that are still in use, by their id().
MADE: "WeakValueDictionary[int, gymnasium.Env]" = WeakValueDictionary()

UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def make_gymnasium(
    env_id: str, source: Any = None, env_kwargs: Mapping[str, Any] | None = None
) -> "gymnasium.Env[Any, Any]":
    """Return a new environment.

    env_id      its id
    source      an EnvSpec, or the function or the class that makes it; None: Gymnasium finds the id
    env_kwargs  keywords for what makes it

    Raises InputError, one sentence, if that fails.
    """
    kwargs = dict(env_kwargs or {})
    own = callable(source)
    try:
        env = source(**kwargs) if own else gymnasium.make(source or env_id, **{"disable_env_checker": True, **kwargs})
    except gymnasium.error.DependencyNotInstalled as error:
        raise InputError(f"{env_id} needs a package that is not installed: {one_line(error)}") from error
    except SystemExit as error:
        raise InputError(f"{env_id!r} cannot be made, because it calls sys.exit({error.code!r}).") from error
    except Exception as error:  # a constructor can raise anything
        raise explain(env_id, source, kwargs, error) from error
    if own:
        check_new(env_id, env)
    return env


def may_be_atari(env_id: str, source: Any = None) -> bool:
    """Return whether an environment can be a game of ALE. The arguments: of `make_gymnasium`.

    ALE registers its games when it is imported. What is registered already says itself whether it is one.
    """
    found = gymnasium.registry.get(env_id.rpartition(":")[2]) if source is None else source
    return found is None or (not callable(found) and str(found.entry_point).startswith("ale_py."))


def explain(env_id: str, source: Any, kwargs: Mapping[str, Any], error: Exception) -> InputError:
    """Return the error that says why an environment could not be made. The arguments: of `make_gymnasium`."""
    unexpected = UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
    if unexpected and unexpected[1] in kwargs:
        return unknown_keyword(env_id, unexpected[1], keywords_of(source or env_id))
    if callable(source):
        return InputError(f"{env_id} makes no environment: {type(error).__name__}: {one_line(error)}")
    if kwargs and not isinstance(error, (gymnasium.error.Error, ImportError)):
        given = ", ".join(f"{key}={show(value)}" for key, value in kwargs.items())
        return InputError(f"{env_id} cannot be made with {given}: {type(error).__name__}: {one_line(error)}")
    near = find_nearest_id(env_id) if isinstance(error, gymnasium.error.UnregisteredEnv) else None
    own = "one of your own must be registered first, see numasync.register, or be named as module:id"
    known = isinstance(error, (gymnasium.error.Error, ImportError, ValueError))
    if near:
        return InputError(f"{env_id!r} is no environment that Gymnasium can make; you may mean {near} ({own}).")
    reason = one_line(error if known else f"{type(error).__name__}: {error}").rstrip(".")
    return InputError(f"{env_id!r} is no environment that Gymnasium can make: {reason} ({own}).")


def keywords_of(source: Any) -> list[str]:
    """Return the keywords that an id, an EnvSpec, a function, or a class with its bases, names."""
    if callable(source):
        kinds = source.__mro__ if isinstance(source, type) else ()
        makers: list[Callable] = [vars(kind)["__init__"] for kind in kinds if "__init__" in vars(kind)] or [source]
        return [name for maker in makers for name in parameters_of(maker)]
    found = ["max_episode_steps"]
    with contextlib.suppress(gymnasium.error.Error):  # an id without its version
        spec = source if isinstance(source, EnvSpec) else gymnasium.spec(source.rpartition(":")[2])
        found += keywords_of(
            spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
        )
    return found


def parameters_of(function: Callable) -> list[str]:
    """Return the names of the parameters of a function that can be keywords."""
    with contextlib.suppress(TypeError, ValueError):  # a function of C says nothing
        kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        parameters = inspect.signature(function).parameters.values()
        return [parameter.name for parameter in parameters if parameter.kind in kinds and parameter.name != "self"]
    return []


def check_new(env_id: str, env: Any) -> None:
    """Raise InputError unless a function of the user has made a new environment."""
    if not isinstance(env, gymnasium.Env):
        raise InputError(f"{env_id} returns {show(env)}; it must return a new gymnasium.Env.")
    base = env.unwrapped
    if MADE.get(id(base)) is base:
        raise InputError(
            f"{env_id} returns the same environment again; each worker needs one of its own, so it must make a new one "
            f"at each call."
        )
    with contextlib.suppress(TypeError):  # a class with __slots__ may have no weak references
        MADE[id(base)] = base
