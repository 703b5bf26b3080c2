"""Environments by id.

Importing this loads neither gymnasium nor ale_py. Making one of their environments does.
"""

import contextlib
import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numasync.envs.jitted.acrobot import ACROBOT
from numasync.envs.jitted.cartpole import CARTPOLE, POSITIONS
from numasync.envs.jitted.catch import CATCH
from numasync.envs.jitted.minatar import MINATAR
from numasync.envs.jitted.mountain_car import MOUNTAIN_CAR
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.envs.jitted.recall import RECALL
from numasync.envs.observation import Observation
from numasync.envs.spec import JittedEnv
from numasync.errors import InputError, one_line
from numasync.runtime.checks import as_switch, check_kind, check_text

if TYPE_CHECKING:
    from numasync.envs.python.bridge import PythonEnv

JITTED = {env.spec.id: env for env in (CARTPOLE, POSITIONS, ACROBOT, MOUNTAIN_CAR, PENDULUM, CATCH, RECALL, *MINATAR)}

# The user's environments by id; `register` in custom/registration.py adds them.
REGISTERED: dict[str, JittedEnv] = {}

# sys.path belongs to the whole process. Where one thread takes an entry off it, an import in another thread can miss
# the next entry.
IMPORTING = threading.RLock()


def make_env(
    env_id: str,
    terminal_on_life_loss: bool = False,
    observation: Observation | None = None,
    flatten: bool = False,
) -> "JittedEnv | PythonEnv":
    """Return the environment of an id: a JittedEnv, an AtariEnv or a GymEnv.

    env_id                 the id, in one of these forms:
                           'CartPole-v1': the jitted version where there is one, otherwise Gymnasium's or ALE's
                           'CartPole': the highest version of this name, as in Gymnasium
                           'gymnasium:CartPole-v1': Gymnasium's own; a jitted version still gives its preset
                           'game:Game-v0': imports game.py, which registers Game-v0 with numasync or with Gymnasium
    terminal_on_life_loss  whether a lost life is terminal for the learner; only for Atari
    observation            an Observation of another environment of this id, such as a trained agent's: its scale, mean
                           and flattened override the environment's own; ignored by jitted environments
    flatten                whether Gymnasium flattens a Dict or Tuple observation to numbers; only for Gymnasium

    Raises InputError, one sentence, if there is no such environment or its spaces are not supported.
    """
    check_arguments(env_id, terminal_on_life_loss, observation, flatten)
    jitted_id = add_version(env_id)
    if jitted_id in JITTED:
        return JITTED[jitted_id]
    registered = find_registered(env_id)
    if registered:
        return registered
    return make_python_env(env_id, terminal_on_life_loss, observation, flatten)


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
    env_id: str, terminal_on_life_loss: bool, observation: Observation | None, flatten: bool
) -> "PythonEnv":
    """Return the AtariEnv or GymEnv of an id. It takes the arguments of `make_env`."""
    check_arguments(env_id, terminal_on_life_loss, observation, flatten)
    # Imported here, because they import gymnasium and ale_py.
    from numasync.envs.python.atari import AtariEnv, atari_id
    from numasync.envs.python.gym import GymEnv

    game_id = atari_id(env_id)
    env: PythonEnv
    if game_id:
        env = AtariEnv(env_id, game_id, terminal_on_life_loss)
    else:
        jitted_version = JITTED.get(add_version(env_id).rpartition(":")[2])
        family = jitted_version.spec.family if jitted_version else None
        env = GymEnv(env_id, family, observation.flattened if observation else flatten)
    if observation:
        own = env.spec.observation
        # An agent of an earlier version may have read the same numbers in another layout.
        kind = observation.kind if observation.shape == own.shape else own.kind
        own = replace(own, kind=kind, scale=observation.scale, mean=observation.mean)
        env.spec = env.spec._replace(observation=own)
    return env


def check_arguments(env_id: Any, terminal_on_life_loss: Any, observation: Any, flatten: Any) -> None:
    """Raise InputError unless these can be arguments of `make_env`."""
    check_text("env_id", env_id)
    as_switch("terminal_on_life_loss", terminal_on_life_loss)
    check_kind("observation", observation, (Observation, type(None)), "an Observation")
    as_switch("flatten", flatten)


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
