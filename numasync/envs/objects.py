"""Environments that a user gives as an object: a function, a class, or an EnvSpec of Gymnasium.

The rest of the package knows an environment by its id. So an object is kept in the table `OBJECTS` under an id, and
`make_env` finds it there:

    object                                          id
    function or class that a program can import     'module:name', such as 'mygame:make_maze'
    another function or class                       'function make_maze', 'class Maze', 'lambda in line 12 of train.py'
    EnvSpec, as it is registered with Gymnasium     its own id
    another EnvSpec                                 'EnvSpec Maze-v0'

A file of data must not decide what code runs. So only `as_env_id` puts an object into the table, and its callers give
it what the user has named.
"""

import functools
import itertools
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from numasync.envs import OBJECTS, find_object, import_module
from numasync.errors import InputError, escape_unprintable
from numasync.runtime.checks import check_text, show

# What a user can give as an environment.
if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

    EnvLike: TypeAlias = str | EnvSpec | Callable[..., gymnasium.Env[Any, Any]]
else:
    EnvLike = Any  # gymnasium is imported only where it is used

ADDING = threading.Lock()
# The ids of objects that another program cannot import.
LOCAL = re.compile(r"(function|class|lambda|partial|object|EnvSpec) ")
LONGEST_NAME = 200


def as_env_id(env: Any, name: str = "env") -> str:
    """Return the id of an environment that the user gives. An object goes into the table OBJECTS.

    env   an id, an EnvSpec of Gymnasium, or a function or a class that makes an environment of Gymnasium. An id
          'module:name' is looked up in the module, which is imported
    name  what a message calls it

    Raises InputError, one sentence, for anything else.
    """
    if isinstance(env, str):
        check_text(name, env)
        find_named(str(env))
        return str(env)
    gymnasium = sys.modules.get("gymnasium")
    if gymnasium and isinstance(env, gymnasium.Env):
        raise InputError(
            f"{name} is an environment itself, and each worker needs one of its own; give a function that makes one: "
            f"train(lambda: {how_to_make(env)})."
        )
    if gymnasium and isinstance(env, gymnasium.envs.registration.EnvSpec):
        return id_of_spec(env)
    if callable(env):
        return id_of_callable(env)
    raise InputError(
        f"{name} is {show(env)}; it must be an id such as 'CartPole-v1', an EnvSpec of Gymnasium, or a function or a "
        f"class that makes an environment."
    )


def find_named(env_id: str) -> None:
    """Put the function or the class that an id 'module:name' means into the table, where no environment has that id."""
    module = env_id.rpartition(":")[0]
    if env_id not in OBJECTS and module != "gymnasium" and all(part.isidentifier() for part in module.split(".")):
        import_module(module)
        found = find_object(env_id)
        if found is not None:
            OBJECTS[env_id] = found


def is_local(env_id: str) -> bool:
    """Return whether an id stands for an object that another program cannot import."""
    return LOCAL.match(env_id) is not None


def how_to_make(env: Any) -> str:
    """Return Python that makes an environment like `env`, for a message."""
    spec = env.spec
    return f'gym.make("{spec.id}")' if spec and not spec.additional_wrappers else f"{type(env).__name__}(...)"


def id_of_spec(spec: "EnvSpec") -> str:
    """Return the id of an EnvSpec: its own where it says what Gymnasium has registered under it."""
    import gymnasium

    registered = gymnasium.registry.get(spec.id)
    if registered is not None and settings_of(spec) == settings_of(registered):
        return spec.id
    return keep(f"EnvSpec {spec.id}", spec)


def settings_of(spec: "EnvSpec") -> tuple[Any, ...]:
    """Return what an EnvSpec says of the game. A mode of rendering does not belong to it."""
    kwargs = {key: repr(value) for key, value in spec.kwargs.items() if key != "render_mode"}
    return spec.entry_point, kwargs, spec.max_episode_steps, spec.additional_wrappers


def id_of_callable(make: Callable) -> str:
    """Return the id of a function or a class: 'module:name' where importing it gives the same object."""
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str) and module != "__main__":
        env_id = f"{module}:{name}"
        if len(env_id) <= LONGEST_NAME and find_object(env_id) is make:
            OBJECTS[env_id] = make
            return env_id
    return keep(describe(make), make)


def describe(make: Any) -> str:
    """Return a readable name for a function or a class."""
    if isinstance(make, functools.partial):
        return f"partial of {describe(make.func)}"[:LONGEST_NAME]
    name, code = getattr(make, "__qualname__", None), getattr(make, "__code__", None)
    if not isinstance(name, str):
        text = f"object of the class {type(make).__name__}"
    elif name.endswith("<lambda>") and code:
        text = f"lambda in line {code.co_firstlineno} of {os.path.basename(code.co_filename)}"
    else:
        text = f"{'class' if isinstance(make, type) else 'function'} {name.rpartition('<locals>.')[2]}"
    return escape_unprintable(text).replace(":", ".")[:LONGEST_NAME]


def keep(env_id: str, made: Any) -> str:
    """Put an object into the table and return its id: `env_id`, with a number where another object has it."""
    with ADDING:
        for number in itertools.count(1):
            numbered = env_id if number == 1 else f"{env_id} {number}"
            if OBJECTS.setdefault(numbered, made) is made:
                return numbered
    raise AssertionError("count never ends")
