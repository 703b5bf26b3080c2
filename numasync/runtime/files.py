"""Files: some are replaced as a whole or not at all, others grow by lines."""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # a system without locks of files
    fcntl = None  # type: ignore[assignment]

# What the names of temporary files begin with. A program that is killed leaves its temporary file, without its lock.
TEMPORARY = ".numasync-"


def is_special(path: str | os.PathLike) -> bool:
    """Return whether there is something at a path that is neither a file nor a folder: a pipe, a socket, a device.

    A link that leads back to itself counts too. To open a pipe can last for ever.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno == errno.ELOOP
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], Any], previous: Path | None = None) -> None:
    """Replace a file as a whole: it holds the old content or the new, and never a part, also after a power cut.

    path      the file
    write     called with a temporary binary file in the same folder, which is then renamed
    previous  the name that the old file gets; by default it goes. A program that is killed between the two renames
              leaves the old content under this name, and no file under the other

    A link stays, and the file that it leads to is replaced. Temporary files that killed programs have left in the
    folder are removed.

    Raises what `write` raises, and OSError, also where the path leads to something that is no file. The file is then
    unchanged and the temporary one is removed.
    """
    path = find_target(path)
    remove_leftovers(path.parent)
    handle, temporary = make_temporary(path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            # The content must be on the disk before the old content is given up.
            os.fsync(handle)
            if previous:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(path, previous)
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def find_target(path: str | Path) -> Path:
    """Return the file that a path leads to through links; it need not exist yet.

    Raises OSError where there is something else, or the path leads nowhere.
    """
    target = Path(os.path.realpath(path))
    if is_special(target):
        raise OSError(errno.EINVAL, "it is a device, a pipe, a socket or a link to itself, and not a file", str(path))
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "it is a directory, and not a file", str(path))
    return target


def make_temporary(folder: Path) -> tuple[int, Path]:
    """Make a temporary file, and return it open and its path. It is locked until it is closed.

    It has the permissions that the umask gives. Python's own temporary files have others.
    """
    while True:
        temporary = folder / f"{TEMPORARY}{secrets.token_hex(4)}"
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return handle, temporary
        os.close(handle)  # another program took it for a leftover before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed programs from a folder. A file that a program writes now has a lock."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if is_leftover(name):
                remove_if_unlocked(folder / name)


def is_leftover(name: str) -> bool:
    """Return whether a name is the name of a temporary file of this program."""
    return name.startswith(TEMPORARY)


def remove_if_unlocked(path: Path) -> None:
    """Remove a temporary file unless a program writes it now, or the file system has no locks."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
        try:
            if lock(handle):
                os.unlink(path)
        finally:
            os.close(handle)


def lock(handle: int, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed, and return true. False: another holds the lock. None: there are no locks.

    wait: whether to wait for another that holds the lock
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_locked(path: Path) -> bool | None:
    """Return whether a program holds the lock of a file. None: there are no locks, or the file cannot be opened.

    Nothing stays locked. Several programs can ask at the same time.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can do it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def json_text(value: Any) -> bytes:
    """Return the content of a JSON file."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_json(path: str | Path, value: Any) -> None:
    """Replace a file by the JSON text of `value`, atomically."""
    text = json_text(value)
    write_atomically(path, lambda file: file.write(text))


def append(path: str | Path, head: str, lines: str) -> None:
    """Append `lines` to a text file, whole or not at all. A new or empty file gets `head` first. Raises OSError."""
    append_bytes(path, lines.encode(), head.encode())


def append_bytes(path: str | Path, content: bytes, head: bytes = b"") -> None:
    """Append to a file, whole or not at all. A new or empty file gets `head` first. Raises OSError."""
    with open(path, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            write_all(file.fileno(), content if end else head + content)
        except OSError:
            file.truncate(end)
            raise


def write_all(handle: int, content: bytes) -> None:
    """Write all of the content to an open file: where a disk is nearly full, one call writes a part."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def safe_name(text: str) -> str:
    """Return a text as the name of a file: only letters, digits, '_', '.' and '-' stay, '-' replaces all others."""
    return re.sub(r"[^\w.-]", "-", text)
