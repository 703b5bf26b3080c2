"""Files that are written whole or not at all, and files that grow by lines."""

import json
import os
import tempfile
from pathlib import Path


def write_atomically(path, write):
    """Call write(file) on a temporary file beside `path`, then rename it: path holds all of the old or of the new."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o666 & ~current_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path, value):
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def append(path, head, lines):
    """Append lines to a file, which begins with `head`."""
    with open(path, "a") as file:
        file.write(lines if file.tell() else head + lines)
