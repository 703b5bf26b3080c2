"""Files: some are replaced as a whole or not at all, others grow by lines."""

import json
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Replace a file as a whole: it holds the old content or the new, and never a part.

    path   the file
    write  called with a temporary binary file in the same folder, which is then renamed

    Raises what `write` raises, and OSError; the file is then unchanged and the temporary one is removed.
    """
    path = Path(path)
    # Python's own temporary files have other permissions than the umask gives, and the umask cannot be read without a
    # change of it, which the other threads of the process would notice.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Replace a file by the JSON text of `value`, atomically."""
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def append(path: str | Path, head: str, lines: str) -> None:
    """Append `lines` to a text file. A new or empty file gets `head` first."""
    with open(path, "a") as file:
        file.write(lines if file.tell() else head + lines)


def safe_name(text: str) -> str:
    """Return a text as the name of a file: only letters, digits, '_', '.' and '-' stay, '-' replaces all others."""
    return re.sub(r"[^\w.-]", "-", text)
