"""The folder of the cache of compiled kernels.

    <cache folder of the user>/numasync/<digest>

The digest stands for all that decides what a kernel compiles to: the sources of the kernels and of what they call, and
the versions of Python, NumPy, Numba and LLVM. So an edited or upgraded kernel gets a new folder and is never stale. An
upgrade that changes none of these files starts warm. The processor is part of each entry's own key.

Several installations, and several users with one installation, do not meet. A folder that has not been used for the
longest time goes when a new one is made.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from numasync.runtime.numba_names import AppDirs, llvmlite, numba
from numasync.runtime.vectors import LANES

PACKAGE = Path(__file__).parents[1]

# The folders of the package in which kernels, and what they call, lie.
WITH_KERNELS = ("runtime", "nn", "envs", "algorithms", "learner", "agent", "tools/bench")

# A folder inside these in which no kernel lies: programs of other packages, which bench compares with.
WITHOUT_KERNELS = "tools/bench/peers"

# As many folders stay. Whoever edits kernels makes many.
MOST_FOLDERS = 5


def user_folder() -> Path:
    """Return the folder of all versions: NUMASYNC_CACHE_DIR, or the platform's. Raises OSError where there is none."""
    chosen = os.environ.get("NUMASYNC_CACHE_DIR")
    folder = Path(chosen or AppDirs("numasync", appauthor=False).user_cache_dir)
    if not chosen and not folder.is_absolute():  # the user has no home
        raise FileNotFoundError("this user has no home; set NUMASYNC_CACHE_DIR to a folder that can be written")
    return folder.absolute()


def digest_of_kernels(package: Path = PACKAGE) -> str:
    """Return the digest of all that decides what a kernel compiles to. package: the folder of its sources."""
    total = hashlib.sha256()
    versions = (np.__version__, numba.__version__, llvmlite.__version__, sys.version_info[:3], sys.implementation.name)
    total.update(repr((*versions, LANES)).encode())
    for name in sources_of_kernels(package):
        content = (package / name).read_bytes()
        total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


def sources_of_kernels(package: Path) -> list[str]:
    """Return the names of the files in which kernels, and what they call, lie, such as 'nn/table.py'.

    package: the folder of the package
    """
    found = []
    for top in WITH_KERNELS:
        # Every import does this, and Path.rglob takes eight times as long.
        for folder, folders, files in os.walk(package / top):
            name = os.path.relpath(folder, package).replace(os.sep, "/")
            folders[:] = [inner for inner in folders if f"{name}/{inner}" != WITHOUT_KERNELS]
            found += [f"{name}/{file}" for file in files if file.endswith(".py")]
    return sorted(found)


@functools.cache
def open_folder() -> tuple[Path | None, str]:
    """Return this version's folder, which exists, and an empty text; or None and the reason why there is none.

    A folder of another user, or on a disk that is read-only, is one too: what is in it need not be compiled.
    """
    try:
        every_version = user_folder()
        folder = every_version / digest_of_kernels()
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            remove_oldest(every_version, folder)
        with contextlib.suppress(OSError):
            os.utime(folder)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return None, f"{named}{error.strerror or error}"
    return folder, ""


def remove_oldest(every_version: Path, newest: Path) -> None:
    """Remove the folders that have not been used for the longest time. A program that still uses one compiles again."""
    folders = [path for path in every_version.iterdir() if is_cache(path) and path != newest]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[MOST_FOLDERS - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def is_cache(path: Path) -> bool:
    """Return whether a path is one that `open_folder` makes. NUMASYNC_CACHE_DIR may hold other things."""
    return len(path.name) == 16 and set(path.name) <= set("0123456789abcdef") and path.is_dir()
