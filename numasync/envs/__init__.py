"""Environments by id.

Importing this loads neither gymnasium nor ale_py. Making one of their environments does.
"""

import contextlib
import importlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numasync.envs.jitted.acrobot import ACROBOT
from numasync.envs.jitted.cartpole import CARTPOLE, POSITIONS
from numasync.envs.jitted.catch import CATCH
from numasync.envs.jitted.minatar import MINATAR
from numasync.envs.jitted.mountain_car import MOUNTAIN_CAR
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.envs.jitted.recall import RECALL
from numasync.envs.kwargs import as_kwargs
from numasync.envs.observation import Observation
from numasync.envs.spec import JittedEnv
from numasync.errors import InputError, one_line
from numasync.runtime.checks import as_switch, check_choice, check_kind, check_text

if TYPE_CHECKING:
    from numasync.envs.python.bridge import PythonEnv

JITTED = {env.spec.id: env for env in (CARTPOLE, POSITIONS, ACROBOT, MOUNTAIN_CAR, PENDULUM, CATCH, RECALL, *MINATAR)}

# The user's environments by id; `register` in custom/registration.py adds them.
REGISTERED: dict[str, JittedEnv] = {}

# Functions, classes and EnvSpecs of Gymnasium by id; `as_env_id` in objects.py adds what the user gives.
OBJECTS: dict[str, Any] = {}

# Which axis of an image holds the channels.
CHANNELS = ("auto", "first", "last")

# sys.path belongs to the whole process. Where one thread takes an entry off it, an import in another thread can miss
# the next entry.
IMPORTING = threading.RLock()


def make_env(
    env_id: str,
    terminal_on_life_loss: bool = False,
    observation: Observation | None = None,
    flatten: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
    channels: str = "auto",
) -> "JittedEnv | PythonEnv":
    """Return the environment of an id: a JittedEnv, an AtariEnv or a GymEnv.

    env_id                 the id, in one of these forms:
                           'CartPole-v1': the jitted version where there is one, otherwise Gymnasium's or ALE's
                           'CartPole': the highest version of this name, as in Gymnasium
                           'gymnasium:CartPole-v1': Gymnasium's own; a jitted version still gives its preset
                           'game:Game-v0': imports game.py, which registers Game-v0 with numasync or with Gymnasium
                           'game:make_game', 'function make_game': a function or a class that the user has given to
                           `train` or another function of this package
    terminal_on_life_loss  whether a lost life is terminal for the learner; only for Atari
    observation            an Observation of another environment of this id, such as a trained agent's: its scale, mean
                           and flattened override the environment's own; ignored by jitted environments
    flatten                whether Gymnasium flattens a Dict or Tuple observation to numbers; only for Gymnasium
    env_kwargs             keywords for what makes the environment; jitted environments take none
    channels               the axis of an image that holds the channels, one of CHANNELS; only for Gymnasium

    Raises InputError, one sentence, if there is no such environment or its spaces are not supported.
    """
    check_arguments(env_id, terminal_on_life_loss, observation, flatten)
    check_choice(channels, CHANNELS, "no place of the channels")
    kwargs = as_kwargs(env_kwargs)
    if env_id not in OBJECTS:
        jitted = JITTED.get(add_version(env_id)) or find_registered(env_id)
        if jitted:
            check_no_kwargs(env_id, kwargs)
            return jitted
        check_known(env_id)
    return make_python_env(env_id, terminal_on_life_loss, observation, flatten, kwargs, channels)


def add_version(env_id: str) -> str:
    """Return 'CartPole-v1' for 'CartPole', 'module:Game-v2' for 'module:Game'; an id with a version as it is.

    It is the highest version that numasync knows, or Gymnasium where it has been imported. Where only Gymnasium has the
    highest version, the id stays as it is: Gymnasium finds it itself.
    """
    check_text("env_id", env_id)
    module, colon, name = env_id.rpartition(":")
    known = [*JITTED, *REGISTERED]
    if "gymnasium" in sys.modules:
        known += getattr(sys.modules["gymnasium"], "registry", ())
    versions = {int(full[len(name) + 2 :]): full for full in known if re.fullmatch(re.escape(name) + r"-v\d+", full)}
    highest = versions[max(versions)] if versions else name
    return f"{module}{colon}{highest}" if highest in JITTED or highest in REGISTERED else env_id


def make_python_env(
    env_id: str,
    terminal_on_life_loss: bool,
    observation: Observation | None,
    flatten: bool,
    env_kwargs: Mapping[str, Any] | None = None,
    channels: str = "auto",
) -> "PythonEnv":
    """Return the AtariEnv or GymEnv of an id. It takes the arguments of `make_env`."""
    check_arguments(env_id, terminal_on_life_loss, observation, flatten)
    # Imported here, because they import gymnasium.
    from numasync.envs.python.gym import GymEnv
    from numasync.envs.python.making import may_be_atari

    source, kwargs = OBJECTS.get(env_id), as_kwargs(env_kwargs)
    env: PythonEnv | None = None
    if may_be_atari(env_id, source):
        from numasync.envs.python.atari import AtariEnv, atari_spec  # they import ale_py

        game = atari_spec(env_id, source)
        env = AtariEnv(env_id, game, terminal_on_life_loss, kwargs) if game else None
    if env is None:
        jitted_version = None if source else JITTED.get(add_version(env_id).rpartition(":")[2])
        family = jitted_version.spec.family if jitted_version else None
        if observation:
            flatten, channels = observation.flattened, observation.channels
        env = GymEnv(env_id, family, flatten, kwargs, source, channels)
    if observation:
        own = env.spec.observation
        # An agent of an earlier version may have read the same numbers in another layout.
        kind = observation.kind if observation.shape == own.shape else own.kind
        own = replace(own, kind=kind, scale=observation.scale, mean=observation.mean)
        env.spec = env.spec._replace(observation=own)
    env.spec = env.spec._replace(env_kwargs=kwargs)
    return env


def check_arguments(env_id: Any, terminal_on_life_loss: Any, observation: Any, flatten: Any) -> None:
    """Raise InputError unless these can be arguments of `make_env`."""
    check_text("env_id", env_id)
    as_switch("terminal_on_life_loss", terminal_on_life_loss)
    check_kind("observation", observation, (Observation, type(None)), "an Observation")
    as_switch("flatten", flatten)


def check_no_kwargs(env_id: str, env_kwargs: Mapping[str, Any] | None) -> None:
    """Raise InputError where keywords are given for a jitted environment."""
    check_text("env_id", env_id)
    if as_kwargs(env_kwargs):
        from gymnasium import registry

        full = add_version(env_id)
        other = f"; Gymnasium's version takes them: env='gymnasium:{full}' (--env gymnasium:{full})"
        raise InputError(
            f"{env_id} is jitted and takes no env_kwargs (--env-kwargs){other if full in registry else ''}."
        )


def check_known(env_id: str) -> None:
    """Raise InputError where an id stands for a function or a class that the user has not given to this program.

    Such an id comes from a file, and a file of data must not decide what code runs.
    """
    from numasync.envs.objects import is_local

    check_text("env_id", env_id)
    if is_local(env_id):
        raise InputError(
            f"{env_id} is known only to the program that made it; give the environment yourself: env=make_env, with "
            f"your own function, or --env module:name."
        )
    if find_object(env_id) is not None:
        raise InputError(
            f"{env_id} is a function or a class, and only a file has named it; name it yourself: env={env_id!r} "
            f"(--env {env_id})."
        )


def find_object(env_id: str) -> Callable | None:
    """Return the function or the class that an id 'module:name' means. Nothing is imported and nothing is called.

    None where the module is not loaded, has no such function or class, or registers an environment of that name.
    """
    check_text("env_id", env_id)
    module, _, name = env_id.rpartition(":")
    known = {*REGISTERED, *getattr(sys.modules.get("gymnasium"), "registry", ())}
    registered = name in known or any(re.fullmatch(rf"{re.escape(name)}-v\d+", full) for full in known)
    if registered or module in ("", "gymnasium"):
        return None
    found: Any = sys.modules.get(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except Exception:  # a module's own __getattr__ can raise anything
        return None
    return found if callable(found) else None


def find_registered(env_id: str) -> JittedEnv | None:
    """Return the user's environment of the id 'id' or 'module:id', after importing the module. None if there is none.

    Raises InputError, one sentence, if the module exists and cannot be imported.
    """
    check_text("env_id", env_id)
    module, _, name = env_id.rpartition(":")
    if module == "gymnasium":
        return None
    if all(part.isidentifier() for part in module.split(".")):
        import_module(module)
    env = REGISTERED.get(add_version(name))
    return env and env._replace(spec=env.spec._replace(id=env_id))


def import_module(name: str) -> None:
    """Import a module, from the current folder too. Do nothing if it does not exist: Gymnasium then refuses the id.

    Raises InputError, one sentence, if the module exists and cannot be imported.
    """
    check_text("name", name)
    try:
        with current_folder_first(name):
            importlib.import_module(name)
    except (InputError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise InputError(f"The module {name} cannot be imported, because it calls sys.exit({error.code!r}).") from error
    except BaseException as error:
        if not (isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")):
            reason = one_line(error)
            raise InputError(f"The module {name} cannot be imported: {type(error).__name__}: {reason}") from error


@contextlib.contextmanager
def current_folder_first(name: str) -> Iterator[None]:
    """Let Python look for the module `name` in the current folder first, for the length of a `with` block.

    A module that is loaded, or that another thread is loading, is not looked for.
    """
    if name in sys.modules:
        yield
        return
    folder = os.getcwd()
    with IMPORTING:
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):  # the module has taken it off itself
                sys.path.remove(folder)
