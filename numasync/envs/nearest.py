"""The known environment whose id is nearest to an unknown one."""

import re
import sys

from numasync.envs import JITTED, REGISTERED
from numasync.runtime.hints import find_nearest, normalize

VERSION = re.compile(r"-v\d+$")
# Namespaces in which Gymnasium has some of its own games again.
PASSED_OVER = re.compile(r"^(phys2d|tabular|GymV\d+Environment)/")


def find_nearest_id(env_id: str) -> str | None:
    """Return the known id that is nearest to an unknown one, with the module of that. None where none is near.

    Ids are compared without their versions, and then without their namespaces too: 'Ponk' is near 'ALE/Pong-v5'.
    """
    module, colon, name = env_id.rpartition(":")
    registry = getattr(sys.modules.get("gymnasium"), "registry", ())
    own = () if module == "gymnasium" else (*REGISTERED, *JITTED)
    if module in sys.modules and module != "gymnasium":
        own, registry = (*callables_of(module), *REGISTERED), ()
    # ALE registers a game under several ids. Each game has one of the form ALE/Pong-v5, and only that one is suggested.
    again = [full for full in registry if f"ALE/{VERSION.sub('', full).removesuffix('NoFrameskip')}-v5" in registry]
    known = [full for full in (*own, *registry) if not PASSED_OVER.search(full) and full not in again]
    word = VERSION.sub("", name)
    for shorten in (lambda full: full, lambda full: full.rpartition("/")[2]):
        names: dict[str, str] = {}
        for full in known:
            names.setdefault(normalize(shorten(VERSION.sub("", full))), full)
        near = find_nearest(shorten(word), names)
        if near:
            return f"{module}{colon}{newest(names[near], known)}"
    return None


def callables_of(module: str) -> tuple[str, ...]:
    """Return the names of the functions and classes that a module defines."""
    found = vars(sys.modules[module]).items()
    return tuple(name for name, value in found if callable(value) and getattr(value, "__module__", "") == module)


def newest(env_id: str, known: list[str]) -> str:
    """Return the id with the highest version among known ids that differ in nothing else."""
    name = VERSION.sub("", env_id)
    versions = {int(full[len(name) + 2 :]): full for full in known if re.fullmatch(re.escape(name) + r"-v\d+", full)}
    return versions[max(versions)] if versions else env_id
