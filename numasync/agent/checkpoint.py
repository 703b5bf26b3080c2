"""One `.npz` file an agent, without pickle: arrays, and a JSON text that says what they are."""

import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from numasync.errors import InputError
from numasync.runtime.files import write_atomically

# Raised by one whenever a file of the last format could not be read by this code.
FORMAT = 1
# What numpy, zipfile and json raise on a file that is none of ours or has lost or changed some bytes.
DAMAGE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, NotImplementedError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def save_checkpoint(path, description, arrays, compressed=False):
    """Write `arrays` (by name) with `description`, a dict that JSON can hold."""
    save = np.savez_compressed if compressed else np.savez
    text = json.dumps({"format": FORMAT, **description})
    write_atomically(path, lambda file: save(file, description=np.array(text), **arrays))


def load_checkpoint(path):
    """The (description, arrays) of a file by `save_checkpoint`. Raises InputError if it is none, damaged, or of
    another format."""
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the checkpoint file itself, such as {path / 'checkpoint.npz'}.")
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
        raise InputError(f"{path} has checkpoint format {found}, this version of numasync reads format {FORMAT}.")
    return description, arrays
