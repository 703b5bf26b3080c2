"""A checkpoint: one `.npz` file for one agent, without pickle. It holds arrays and a JSON text that describes them."""

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.files import is_special, write_atomically

# The number of the file format. It grows by one when this code can no longer read the files of the format before.
FORMAT = 1

# What numpy, zipfile and json raise on a file that is no checkpoint, or that has lost or changed some bytes.
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def save_checkpoint(
    path: str | os.PathLike, description: dict[str, Any], arrays: dict[str, Any], compressed: bool = False
) -> None:
    """Write a checkpoint, whole or not at all.

    path         the file; an existing one is replaced
    description  a dict that JSON can hold
    arrays       NumPy arrays by name
    compressed   whether to compress the arrays
    """
    save = np.savez_compressed if compressed else np.savez
    text = json.dumps({"format": FORMAT, **description})
    write_atomically(Path(path), lambda file: save(file, description=np.array(text), **arrays))


def load_checkpoint(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (description, arrays) of a checkpoint.

    Raises InputError if the file does not exist, is no checkpoint, is damaged, or has another format.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the checkpoint file itself, such as {path / 'checkpoint.npz'}.")
    if is_special(path):
        raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name a checkpoint file.")
    if not os.path.exists(path):
        raise InputError(f"There is no file {path}; a checkpoint is the .npz file that a run or agent.save wrote.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        description = json.loads(str(arrays.pop("description")))
        found = description["format"]
    except DAMAGE as error:
        raise InputError(f"{path} is no numasync checkpoint, or it is damaged; train again or use a copy.") from error
    if found != FORMAT:
        raise InputError(f"{path} has checkpoint format {found}; this version of numasync reads format {FORMAT}.")
    return description, arrays
