"""Environments by id. Importing this loads neither gymnasium nor ale_py; asking for one of theirs does."""

import importlib
import os
import sys
from dataclasses import replace

from numasync.envs.jitted.acrobot import ACROBOT
from numasync.envs.jitted.cartpole import CARTPOLE, POSITIONS
from numasync.envs.jitted.catch import CATCH
from numasync.envs.jitted.minatar import MINATAR
from numasync.envs.jitted.mountain_car import MOUNTAIN_CAR
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.envs.jitted.recall import RECALL
from numasync.errors import InputError

JITTED = {env.spec.id: env for env in (CARTPOLE, POSITIONS, ACROBOT, MOUNTAIN_CAR, PENDULUM, CATCH, RECALL, *MINATAR)}

# Environments that the user has registered; see `registration.py`.
REGISTERED = {}


def make_env(env_id, terminal_on_life_loss=False, observation=None, flatten=False):
    """A JittedEnv, an AtariEnv or a GymEnv, all with spec, reset, step, new_state, jitted and close.

    A jitted twin is used where there is one; 'gymnasium:CartPole-v1' (Gymnasium's own module:id form) asks for
    Gymnasium's, which has the same presets. 'game:Game-v0' imports the user's game.py, which registers Game-v0 with
    us or with Gymnasium. life_loss concerns Atari alone, flatten those of Gymnasium. observation: of an environment in
    Python, whose scale and mean take the place of its own, and which says whether it was flattened. Raises InputError,
    in one sentence, where there is no such environment or its spaces are not supported.
    """
    if env_id in JITTED:
        return JITTED[env_id]
    env = registered(env_id)
    if env:
        return env
    from numasync.envs.python.atari import AtariEnv, atari_id
    from numasync.envs.python.gym import GymEnv

    game_id = atari_id(env_id)
    twin = JITTED.get(env_id.rpartition(":")[2])
    if game_id:
        env = AtariEnv(env_id, game_id, terminal_on_life_loss)
    else:
        env = GymEnv(env_id, twin.spec.family if twin else None, observation.flattened if observation else flatten)
    if observation:
        own = env.spec.observation
        env.spec = env.spec._replace(observation=replace(own, scale=observation.scale, mean=observation.mean))
    return env


def registered(env_id):
    """The user's JittedEnv of that id, or of 'module:id' after the module's import; None where it is another's."""
    module, _, name = env_id.rpartition(":")
    if module == "gymnasium":
        return None
    if all(part.isidentifier() for part in module.split(".")):
        import_module(module)
    env = REGISTERED.get(name)
    return env and env._replace(spec=env.spec._replace(id=env_id))


def import_module(name):
    """Import the module of a 'module:id', from the current folder too. One that does not exist is Gymnasium's to
    refuse; raises InputError, one sentence, where it exists and fails."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        importlib.import_module(name)
    except InputError:
        raise
    except Exception as error:
        if not (isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")):
            text = " ".join(str(error).split()).rstrip(".")
            raise InputError(f"The module {name} cannot be imported: {type(error).__name__}: {text}.") from error
    finally:
        sys.path.remove(folder)
