"""Which environments there are here: the jitted ones, Gymnasium's, ALE's games."""

import contextlib
import io
import warnings
from typing import NamedTuple

import gymnasium
from gymnasium.envs.registration import find_highest_version, parse_env_id

from numasync.envs import JITTED, make_env
from numasync.envs.python.atari import PIXELS, STACK, atari_id

# Gymnasium's own games once more, written in JAX.
DUPLICATES = ("phys2d", "tabular")


class Listed(NamedTuple):
    """One environment, or one line for many. observation: its shape; actions: how many, as a text for many
    environments; runs: 'jitted', 'Gymnasium' or 'ALE'; preset: the family in config.PRESETS."""

    id: str
    observation: tuple
    actions: int | str
    runs: str
    preset: str


def environments():
    """A Listed for each environment that can be made here, and one for the games of ALE."""
    jitted = [listed(env.spec, "jitted") for env in JITTED.values()]
    return [*jitted, *gymnasium_environments(), atari_games()]


def listed(spec, runs):
    return Listed(spec.id, spec.observation.shape, spec.n_actions, runs, spec.family)


def gymnasium_environments():
    """Those of the latest version that are no duplicates and whose spaces and packages fit: each is made to see."""
    found = []
    # Packages greet and warn as they are imported; that is no part of a list.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for env_id in filter(is_candidate, list(gymnasium.registry)):
            # What cannot be made is left out, whatever its constructor, which is not ours, raises.
            with contextlib.suppress(Exception):
                env = make_env(env_id)
                found.append(listed(env.spec, "Gymnasium"))
                env.close()
    return found


def is_candidate(env_id):
    namespace, name, version = parse_env_id(env_id)
    latest = version == find_highest_version(namespace, name)
    return latest and namespace not in DUPLICATES and env_id not in JITTED and atari_id(env_id) is None


def atari_games():
    """One line: making each of them would load a ROM a game."""
    ids = [env_id for env_id in gymnasium.registry if atari_id(env_id)]
    v5 = sum(env_id.startswith("ALE/") and env_id.endswith("-v5") for env_id in ids)
    v4 = sum(env_id.endswith("NoFrameskip-v4") for env_id in ids)
    name = f"ALE/<Game>-v5 ({v5} games), <Game>NoFrameskip-v4 ({v4} games)"
    return Listed(name, (STACK, PIXELS, PIXELS), "3-18", "ALE", "atari")
