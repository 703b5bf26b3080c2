"""Folders that one program alone writes to. A lock on a file in it says so, until the program ends."""

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from numasync.errors import InputError
from numasync.runtime.files import is_leftover, json_text, lock, remove_leftovers, write_all


class FolderTakenError(InputError):
    """The folder of a new run is not empty, or another program trains in it."""


def claim_folder(
    out: str | os.PathLike, name: str, value: Any, again: Collection[str] = ()
) -> tuple[Path, int, list[Path]]:
    """Make a folder with one file in it, of two programs that try it at once only one.

    out    the folder; an empty one may exist
    name   the name of the file
    value  its content, as JSON
    again  a folder that holds nothing but files of these names is taken again

    Returns the path, the open file, which is locked until it is closed, and the folders that were made. Raises
    InputError, and writes nothing, where the folder cannot be made or is not empty.
    """
    folder, made = Path(out), []
    try:
        check_free(folder, again)
        made = make_folders(folder)
        handle = open_new(folder / name, name in again)
        try:
            check_free(folder, {name, *again})
            write_new(handle, folder / name, json_text(value))
        except BaseException:
            os.close(handle)
            raise
    except InputError:
        raise
    except OSError as error:
        remove_folders(made)
        raise InputError(f"The folder {folder} cannot be made or written: {error.strerror}.") from error
    remove_leftovers(folder)
    return folder, handle, made


def check_free(folder: Path, names: Collection[str]) -> None:
    """Raise FolderTakenError unless there is nothing at a path, or a folder with at most files of these names in it.

    Temporary files of killed programs do not count.
    """
    taken = os.path.lexists(folder) and not os.path.isdir(folder)
    if not taken and os.path.lexists(folder):
        own = {name for name in names if os.path.isfile(folder / name)}
        taken = not all(is_leftover(found) or found in own for found in os.listdir(folder))
    if taken:
        raise FolderTakenError(f"{folder} already exists and is not empty; give another --out, nothing is overwritten.")


def reopen(path: Path) -> int:
    """Lock a file in the folder of a run that goes on, and return it open.

    Raises FolderTakenError where a program trains in the folder, InputError where it cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError as error:
        raise InputError(f"The run in {path.parent} cannot go on: {path.name}: {error.strerror}.") from error
    # A file without a name was replaced by another program, which has gone on with the run.
    if lock(handle) is False or not os.fstat(handle).st_nlink:
        os.close(handle)
        raise FolderTakenError(f"Another program trains in {path.parent} now; stop it, or wait for its end.")
    remove_leftovers(path.parent)
    return handle


def open_new(path: Path, again: bool) -> int:
    """Make a file, or where it may be taken again open it. Return it open and locked.

    Raises FolderTakenError where another has made it, or holds its lock.
    """
    new = True
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        new = False
        handle = os.open(path, os.O_RDWR) if again else -1
    if handle >= 0:
        # A file system without locks cannot tell whether the run of an old file still begins.
        locked = lock(handle)
        if os.fstat(handle).st_nlink and (locked or (new and locked is None)):
            return handle
        os.close(handle)
    raise FolderTakenError(f"Another run begins in {path.parent}; give another --out, nothing is overwritten.")


def write_new(handle: int, path: Path, content: bytes) -> None:
    """Write the content of a file that `open_new` returned. Raises OSError where there is no room; the file is gone."""
    try:
        os.ftruncate(handle, 0)
        write_all(handle, content)
        os.fsync(handle)
    except BaseException:
        os.unlink(path)
        raise


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and its parents where they are missing, and return what was made, the folder itself first."""
    made: list[Path] = []
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        try:
            path.mkdir()
            made.insert(0, path)
        except FileExistsError:  # another program has made it
            if not path.is_dir():
                raise
    return made


def remove_folders(folders: Sequence[Path]) -> None:
    """Remove folders, as far as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
