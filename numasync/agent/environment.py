"""The environment of a run, and which ones an agent may play: its own, and no code that only a file has named."""

import sys
from collections.abc import Mapping
from typing import Any

from numasync.envs import OBJECTS, add_version, find_object, make_env
from numasync.envs.spec import Environment
from numasync.errors import InputError


def check_same_env(own: str, env_id: str) -> None:
    """Raise InputError unless an id stands for an environment, in its jitted or its Gymnasium version.

    own     the id of the environment that an agent was trained on
    env_id  the other id. A function, a class and an EnvSpec that the user has given can be any, because what they make
            is compared
    """
    if env_id not in OBJECTS and add_version(env_id).rpartition(":")[2] != add_version(own).rpartition(":")[2]:
        raise InputError(f"This agent was trained on {own}; it cannot play {env_id}.")


def check_may_play(own: str) -> None:
    """Raise InputError where playing an environment runs code that only a file has named.

    A file of data must not decide what code runs: which module is imported, and which function is called.

    own  the id in the file
    """
    module = own.rpartition(":")[0]
    if own in OBJECTS:
        return
    if module not in ("", "gymnasium", *sys.modules):
        what = f"import the module {module}; import it first, or"
    elif find_object(own) is not None:
        what = f"call a function or a class of the module {module};"
    else:
        return
    raise InputError(
        f"The agent's file names the environment {own}, and playing it would {what} name it yourself: env={own!r} "
        f"(--env {own})."
    )


def env_options_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run, by name, that say which environment it has."""
    return {name: options[name] for name in ("env", "flatten", "env_kwargs", "channels") if name in options}


def make_env_of(options: Mapping[str, Any]) -> Environment:
    """Return the environment of a run. options: of the run, by name; presets change none of those that matter here."""
    kinds = env_options_of(options)
    return make_env(kinds.pop("env"), **kinds)
