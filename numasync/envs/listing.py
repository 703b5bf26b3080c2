"""The environments that can be made here: the jitted ones, Gymnasium's, and the games of ALE."""

import contextlib
import io
import warnings
from typing import NamedTuple

import gymnasium
from gymnasium.envs.registration import find_highest_version, parse_env_id

from numasync.envs import JITTED, make_env
from numasync.envs.python.atari import PIXELS, STACK, atari_id
from numasync.envs.spec import EnvSpec

# Namespaces in which Gymnasium has some of its own games again, written in JAX.
DUPLICATES = ("phys2d", "tabular")


class EnvRow(NamedTuple):
    """One environment of the list, or all games of ALE.

    id           the id, or a pattern of ids
    observation  the shape of its observations
    actions      how many actions it has, or how many numbers an action has; a text such as '3 x 2' where an action is
                 several integers, and where this differs from game to game
    runs         what runs it: 'jitted', 'Gymnasium' or 'ALE'
    preset       its family in config.PRESETS
    """

    id: str
    observation: tuple[int, ...]
    actions: int | str
    runs: str
    preset: str


def list_envs() -> list[EnvRow]:
    """Return a row for each environment that can be made here, and one for the games of ALE."""
    jitted = [make_row(env.spec, "jitted") for env in JITTED.values()]
    return [*jitted, *list_gymnasium(), count_atari_games()]


def make_row(spec: EnvSpec, runs: str) -> EnvRow:
    """Return the row of an environment that `runs` runs."""
    actions = " x ".join(map(str, spec.nvec)) if spec.nvec else spec.n_actions
    return EnvRow(spec.id, spec.observation.shape, actions, runs, spec.family)


def list_gymnasium() -> list[EnvRow]:
    """Return a row for each environment of Gymnasium that numasync can play.

    Each candidate is made, which shows whether its spaces are supported and its packages are installed.
    """
    found = []
    # Packages print greetings and warnings when they are imported. They do not belong in the list.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for env_id in filter(is_candidate, list(gymnasium.registry)):
            # A constructor that is not ours can raise anything. Its environment is left out.
            with contextlib.suppress(Exception):
                env = make_env(env_id)
                found.append(make_row(env.spec, "Gymnasium"))
                env.close()
    return found


def is_candidate(env_id: str) -> bool:
    """Return whether a Gymnasium id is the latest version, has no jitted version, and is not a game of ALE."""
    namespace, name, version = parse_env_id(env_id)
    latest = version == find_highest_version(namespace, name)
    return latest and namespace not in DUPLICATES and env_id not in JITTED and atari_id(env_id) is None


def count_atari_games() -> EnvRow:
    """Return one row for all games of ALE. Making each game would load its ROM."""
    ids = [env_id for env_id in gymnasium.registry if atari_id(env_id)]
    v5 = sum(env_id.startswith("ALE/") and env_id.endswith("-v5") for env_id in ids)
    v4 = sum(env_id.endswith("NoFrameskip-v4") for env_id in ids)
    name = f"ALE/<Game>-v5 ({v5} games), <Game>NoFrameskip-v4 ({v4} games)"
    return EnvRow(name, (STACK, PIXELS, PIXELS), "3-18", "ALE", "atari")
