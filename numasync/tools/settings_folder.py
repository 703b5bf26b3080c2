"""A folder that belongs to its settings: the same command goes on in it, and another one is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numasync.errors import InputError
from numasync.runtime.files import remove_leftovers
from numasync.training.folders import make_folder


def open_with_settings(
    out: str | os.PathLike,
    settings: dict[str, Any],
    file: str,
    kind: str,
    upgrade: Callable[[Any], Any] = lambda found: found,
) -> Path:
    """Return a folder with these settings: a new one, or one that the same command has made before.

    out       the folder
    settings  what JSON can hold
    file      the name of the file that keeps them
    kind      what the folder holds, such as 'study', for messages
    upgrade   returns settings that an earlier version has written, as this version writes them

    Raises InputError, and writes nothing, where something else is in the folder.
    """
    path = Path(out)
    remove_leftovers(path)
    if not os.path.isfile(path / file):
        return make_folder(path, file, settings)
    try:
        found = upgrade(json.loads((path / file).read_text()))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / file} is damaged; give another --out.") from error
    other = find_differences(found, json.loads(json.dumps(settings)))
    if other:
        raise InputError(f"{path} holds a {kind} with other settings ({'; '.join(other)}); give another --out.")
    return path


def find_differences(found: Any, wanted: Any, name: str = "") -> list[str]:
    """Return a phrase for each difference between two values that JSON can hold. Dicts are compared by key.

    found   the value in the folder
    wanted  the value that is asked for
    name    the key of both values
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        phrases = [find_differences(found.get(key), wanted.get(key), key) for key in {**found, **wanted}]
        return list(dict.fromkeys(phrase for some in phrases for phrase in some))
    if found == wanted:
        return []
    if isinstance(found, dict) or isinstance(wanted, dict):
        return [f"{name} only {'there' if wanted is None else 'here'}"]
    return [f"{name} is {found} there, {wanted} here"]
