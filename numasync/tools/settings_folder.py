"""A folder that belongs to its settings: the same command goes on in it, and another one is refused.

One program works in it at a time, unless several may work together. The lock of the file with the settings says so, and
goes with its program.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numasync.errors import InputError
from numasync.training.folders import claim_folder, reopen


@contextlib.contextmanager
def open_with_settings(
    out: str | os.PathLike,
    settings: dict[str, Any],
    file: str,
    kind: str,
    upgrade: Callable[[Any], Any] = lambda found: found,
    together: bool = False,
) -> Iterator[Path]:
    """Give a folder with these settings, which no other program has, for the length of a `with` block.

    out       the folder: a new one, or one that the same command has made before
    settings  what JSON can hold
    file      the name of the file that keeps them
    kind      what the folder holds, such as 'study', for messages
    upgrade   returns settings that an earlier version has written, as this version writes them
    together  whether several programs may have it at once

    Raises InputError, and writes nothing, where something else is in the folder, or another program works in it.
    """
    path = Path(out)
    handle = None
    try:
        if not os.path.isfile(path / file):
            handle = claim_folder(path, file, settings)[1]
        else:
            handle = None if together else reopen(path / file)
            check_settings(path / file, settings, kind, upgrade)
        if together and handle is not None:
            os.close(handle)
            handle = None
        yield path
    finally:
        if handle is not None:
            os.close(handle)


def check_settings(file: Path, settings: dict[str, Any], kind: str, upgrade: Callable[[Any], Any]) -> None:
    """Raise InputError unless a file holds these settings. The arguments: see `open_with_settings`."""
    try:
        found = upgrade(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is damaged; give another --out.") from error
    other = find_differences(found, json.loads(json.dumps(settings)))
    if other:
        raise InputError(f"{file.parent} holds a {kind} with other settings ({'; '.join(other)}); give another --out.")


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
