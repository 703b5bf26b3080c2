"""A checkpoint: one `.npz` file for one agent, without pickle. It holds arrays and a JSON text that describes them.

A file may come from anywhere, so nothing in it is taken on trust. An array is read only after its header fits what the
reader asks for, and the file cannot ask for much more memory than its own size.
"""

import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.files import is_special, write_atomically

# The number of the file format. It grows by one when this code can no longer read the files of the format before.
FORMAT = 1

# What zipfile, zlib and json raise on a file that is no checkpoint, or that has lost or changed some bytes.
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)

# Parameters hardly shrink when they are compressed. So a file is refused if its arrays are larger than SMALL bytes and
# more than MOST_TIMES times as large as the file.
SMALL, MOST_TIMES = 2**26, 20
LONGEST_DESCRIPTION = 2**22

DESCRIPTION, ENDING = "description", ".npy"
# The start of a .npy file: magic bytes, version 1.0, and the length of the header in two bytes.
MAGIC, LENGTH_SIZE = b"\x93NUMPY\x01\x00", 2
# The header as NumPy writes it. NumPy's own reader evaluates it as Python.
HEADER = re.compile(r"\{'descr': '([<>|=]\w+)', 'fortran_order': False, 'shape': \(([\d, ]*)\), \} *\n")
PIECE = 2**20


def save_checkpoint(
    path: str | os.PathLike,
    description: dict[str, Any],
    arrays: dict[str, Any],
    compressed: bool = False,
    previous: Path | None = None,
) -> None:
    """Write a checkpoint, whole or not at all.

    path         the file; an existing one is replaced
    description  a dict that JSON can hold
    arrays       NumPy arrays by name
    compressed   whether to compress the arrays
    previous     where the file that it replaces is kept; by default it goes

    Raises InputError where `path` is no place for a file or JSON cannot hold the description, OSError where the file
    cannot be written.
    """
    save = np.savez_compressed if compressed else np.savez
    try:
        text = json.dumps({"format": FORMAT, **description})
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("The config, the spec or the result of the agent holds what JSON cannot hold.") from error
    write_atomically(Path(path), lambda file: save(file, description=np.array(text), **arrays), previous)


class CheckpointFile:
    """An open checkpoint.

    description  what its JSON text says: a dict, which is not checked
    names        the names of its arrays
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        members = archive.infolist()
        self.archive = archive
        self.members = {info.filename.removesuffix(ENDING): info for info in members}
        self.names = self.members.keys() - {DESCRIPTION}
        kinds = {info.compress_type for info in members} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        total = sum(info.file_size for info in members)
        if kinds or len(self.members) != len(members) or total > max(SMALL, MOST_TIMES * size):
            raise ValueError("members that no checkpoint has")
        self.description = self._read_description()

    def _read_description(self) -> dict[str, Any]:
        with self.archive.open(self.members[DESCRIPTION]) as file:
            code, shape, size = read_header(file, self.members[DESCRIPTION])
            if not code.startswith("<U") or shape != () or size > LONGEST_DESCRIPTION:
                raise ValueError("a description that is no short text")
            description = json.loads(file.read(size + 1).decode("utf-32-le"))
        if not isinstance(description, dict) or not isinstance(description["format"], int):
            raise ValueError("a description without a format")
        return description

    def read(self, name: str, shape: tuple[int, ...] | None, codes: Collection[str]) -> np.ndarray | None:
        """Return an array, or None where the file has no such array. Nothing is read before its header is compared.

        name   the name of the array
        shape  the shape that it must have; None for any
        codes  the dtypes that it may have: '<f4', '<f2'
        """
        info = self.members.get(name)
        if info is None:
            return None
        with self.archive.open(info) as file:
            code, found, size = read_header(file, info)
            if shape not in (None, found) or code not in codes or size != math.prod(found) * np.dtype(code).itemsize:
                return None
            array = np.empty(found, code)
            read_into(array.reshape(-1).view(np.uint8), file)
        return array


def read_header(file: IO[bytes], info: zipfile.ZipInfo) -> tuple[str, tuple[int, ...], int]:
    """Return the dtype, such as '<f4', and the shape of a .npy file, and how many bytes follow its header.

    Raises ValueError where it is not as NumPy writes it.
    """
    start = file.read(len(MAGIC) + LENGTH_SIZE)
    length = int.from_bytes(start[len(MAGIC) :], "little")
    match = HEADER.fullmatch(file.read(length).decode("latin-1"))
    if not start.startswith(MAGIC) or not match:
        raise ValueError("no header of an array")
    shape = tuple(int(size) for size in match[2].split(",") if size.strip())
    return match[1], shape, info.file_size - len(start) - length


def read_into(target: np.ndarray, file: IO[bytes]) -> None:
    """Fill `target`, uint8, with the rest of a file. Raises ValueError where it is shorter or longer."""
    at = 0
    while piece := file.read(PIECE):
        target[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    if at != len(target):
        raise ValueError("an array that is too short")


@contextmanager
def open_checkpoint(path: str | os.PathLike) -> Iterator[CheckpointFile]:
    """Open a checkpoint for a `with` block.

    Raises InputError if the file does not exist, is no checkpoint, or has another format, and where something in the
    block finds that it is damaged.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the checkpoint file itself, such as {path / 'checkpoint.npz'}.")
    if is_special(path):
        raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name a checkpoint file.")
    if not os.path.exists(path):
        raise InputError(f"There is no file {path}; a checkpoint is the .npz file that a run or agent.save wrote.")
    try:
        with open(path, "rb") as raw, zipfile.ZipFile(raw) as archive:
            file = CheckpointFile(archive, os.fstat(raw.fileno()).st_size)
            found = file.description["format"]
            if found != FORMAT:
                raise InputError(
                    f"{path} has checkpoint format {found}; this version of numasync reads format {FORMAT}."
                )
            yield file
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{path} is no numasync checkpoint, or it is damaged; train again or use a copy.") from error
