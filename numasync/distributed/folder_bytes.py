"""The folder of a run as bytes, to send it between machines: as a whole, or what has changed since the last time."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO

from numasync.runtime.files import is_leftover, write_atomically
from numasync.training.records import CHECKPOINT, CONFIG, RESULT, STATE

# What is written late: a state needs the files that it tells the lengths of, and a checkpoint is nothing without one.
ORDER = {STATE: 1, CHECKPOINT: 2, RESULT: 3}

# The content of each file, by its path in the folder.
Files = dict[str, bytes]
# What tells that a file has changed: when, and how long it is.
Marks = dict[str, tuple[int, int]]


def marks_of(folder: Path) -> Marks:
    """Return the marks of the files in a folder, the training state first.

    The state says how long the other files are. Read before them, it never says more than they hold.
    """
    found: Marks = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (path.name != STATE, path)):
        if not is_leftover(path.name) and path.is_file():
            about = path.stat()
            found[path.relative_to(folder).as_posix()] = about.st_mtime_ns, about.st_size
    return found


def read_files(folder: Path, seen: Mapping[str, tuple[int, int]] = {}) -> tuple[Files, Marks]:
    """Return the files of a folder that have changed, and the marks of all.

    folder  it need not exist
    seen    the marks of the last time
    """
    marks = marks_of(folder) if folder.is_dir() else {}
    files: Files = {}
    for name, mark in marks.items():
        if seen.get(name) != mark:
            try:
                files[name] = (folder / name).read_bytes()
            except FileNotFoundError:  # it was replaced or removed in this moment
                continue
    return files, marks


def read_run_files(folder: Path) -> Files:
    """Return the files of a run. There are none where it was stopped before it has its options."""
    files, _ = read_files(folder)
    return files if CONFIG in files else {}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each as a whole or not at all. Raises OSError.

    A program that is killed in between leaves a run that goes on from its old state, or from its new one.
    """
    for name in sorted(files, key=lambda name: (ORDER.get(name, 0), name)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, partial(put, files[name]))


def put(content: bytes, file: IO[bytes]) -> None:
    """Write a content into a file."""
    file.write(content)
