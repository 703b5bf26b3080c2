"""The cache of compiled kernels on disk. It makes a second start quick, and no run needs it.

Numba's own cache raises where no folder can be written, where the disk is full, and where a file is damaged. Here such
a kernel is compiled again. One sentence on the standard error says so where nothing can be written.

What is in a file is Numba's. Which files there are is not: a kernel has one for each combination of types that it is
compiled for, and no index. A file is replaced whole, so that many programs can start with an empty cache at once. They
lie in a folder that belongs to this version of the kernels, see `cache_folder.py`. A digest finds a file that is
damaged.
"""

import contextlib
import hashlib
import itertools
import multiprocessing
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numasync.errors import one_line
from numasync.runtime.cache_folder import open_folder
from numasync.runtime.numba_names import caching, sigutils

# The sentence comes once. Counting is one operation, in which no other thread can take part.
SENTENCES = itertools.count()

# Where `collect_troubles` keeps the reasons, while one of its blocks lasts.
COLLECTED: list[list[str]] = []


class EntryFiles(caching.IndexDataCacheFile):
    """The entries of one kernel, a file each, as Numba asks for them. A file is a digest, then a key and its entry.

    folder  where the files lie
    name    what their names begin with
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(str(folder), name, "")
        self._path = folder / name

    def flush(self) -> None:
        """Keep the files. Numba asks for this where a kernel is compiled again, and then writes its file."""

    def path_of(self, key: Any) -> Path:
        """Return the path of an entry's file."""
        return Path(f"{self._path}.{digest(repr(key).encode()).hex()[:16]}.nbc")

    def save(self, key: Any, data: Any) -> None:
        """Write an entry. Raises OSError where the disk is full or read-only."""
        content = self._dump((key, data))
        with self._open_for_write(str(self.path_of(key))) as file:
            file.write(digest(content) + content)

    def load(self, key: Any) -> Any:
        """Return an entry, or None where its file is damaged. Raises OSError where there is none."""
        content = self.path_of(key).read_bytes()
        length = hashlib.sha256().digest_size
        if content[:length] != digest(content[length:]):
            return None
        found, data = pickle.loads(content[length:])
        return data if found == key else None


class KernelFolder(NamedTuple):
    """The folder of a kernel's files, as Numba asks for it."""

    path: Path

    def ensure_cache_path(self) -> None:
        """Make the folder before a file is written: another program may have removed it."""
        self.path.mkdir(parents=True, exist_ok=True)


class KernelFiles(caching.CompileResultCacheImpl):
    """How Numba keeps a kernel: the name of its files, and what is in them."""

    def __init__(self, function: Any, folder: Path) -> None:
        self._locator = KernelFolder(folder)
        name = f"{function.__module__}.{function.__qualname__}".replace("<locals>", "locals")
        self._filename_base = f"{name}-{function.__code__.co_firstlineno}"


class KernelCache(caching.FunctionCache):
    """The cache of one kernel, as Numba asks for it. Reading and writing raise nothing.

    function  the Python source of the kernel
    folder    where its files lie
    """

    def __init__(self, function: Any, folder: Path) -> None:
        self._name, self._py_func, self._cache_path = repr(function), function, str(folder)
        self._impl = KernelFiles(function, folder)
        self._cache_file = EntryFiles(folder, self._impl.filename_base)
        self.enable()

    def has(self, signature: Any, target_context: Any) -> bool:
        """Return whether there is a file for a signature. It can be damaged."""
        arguments, _ = sigutils.normalize_signature(signature)
        return self._cache_file.path_of(self._index_key(arguments, target_context.codegen())).is_file()

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled kernel for a signature, or for a tuple of types. None: it must be compiled.

        Where a kernel is passed as a function, the signature has the type that it returns. Where Python calls it, only
        its arguments are known. Both are one entry.
        """
        arguments, returns = sigutils.normalize_signature(signature)
        with contextlib.suppress(Exception):
            found = super().load_overload(arguments, target_context)
            return found if found and returns in (None, found.signature.return_type) else None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write a compiled kernel, or say that it cannot be written."""
        try:
            super().save_overload(sigutils.normalize_signature(signature)[0], compiled)
        except Exception as error:
            say_once(f"{self._cache_path} cannot be written: {getattr(error, 'strerror', None) or error}")


class NoCache(caching.NullCache):
    """What a kernel has where there is no folder for its cache. It says so once the kernel is compiled."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Say that the compiled kernel cannot be written."""
        say_once(self._reason)


def add_cache(kernel: Any) -> None:
    """Give a kernel its cache. A kernel of another package gets none."""
    if str(kernel.py_func.__module__).partition(".")[0] != "numasync":
        return  # the digest of the folder does not know its source
    folder, reason = open_folder()
    kernel._cache = KernelCache(kernel.py_func, folder) if folder else NoCache(reason)


def digest(content: bytes) -> bytes:
    """Return 32 bytes that are others for any other content."""
    return hashlib.sha256(content).digest()


@contextlib.contextmanager
def collect_troubles() -> Iterator[list[str]]:
    """Yield a list of the reasons why kernels cannot be written in a `with` block. They are not printed there."""
    troubles: list[str] = []
    COLLECTED.append(troubles)
    try:
        yield troubles
    finally:
        COLLECTED.remove(troubles)


def say_once(reason: str) -> None:
    """Say on the standard error that compiled code is not cached: at the first call, and not in a child process."""
    if COLLECTED:
        COLLECTED[-1].append(reason)
        return
    if next(SENTENCES) == 0 and multiprocessing.parent_process() is None and sys.stderr is not None:
        sentence = f"numasync: compiled code is not cached, so every start compiles again: {one_line(reason)}"
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, or it is closed
            print(sentence, file=sys.stderr, flush=True)
