"""The cache of compiled kernels on disk. It makes a second start quick, and no run needs it.

Numba's own cache raises where no folder can be written, where the disk is full, and where a file is damaged. Here such
a kernel is compiled again. One sentence on the standard error says so where nothing can be written.

The files are Numba's, with three differences. They lie in a folder that belongs to this version of the kernels, see
`cache_folder.py`. Digests find a file that is damaged, or that belongs to another kernel. An entry is written before
the index that names it, so that no index names an entry that is not there.
"""

import contextlib
import hashlib
import itertools
import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

from numba.core import caching

from numasync.errors import one_line
from numasync.runtime.cache_folder import open_folder

# The sentence comes once. Counting is one operation, in which no other thread can take part.
SENTENCES = itertools.count()

Index = dict[Any, tuple[str, bytes]]


class CheckedFiles(caching.IndexDataCacheFile):
    """An index file, and a file for each entry. The index holds its own digest, and the digest of every entry."""

    def save(self, key: Any, data: Any) -> None:
        """Write an entry, then the index with its key. Raises OSError where the disk is full or read-only."""
        index, content = self._load_index(), self._dump(data)
        taken = {name for name, _ in index.values()}
        free = (name for name in map(self._data_name, itertools.count(1)) if name not in taken)
        name = index[key][0] if key in index else next(free)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content)
        self._save_index({**index, key: (name, digest(content))})

    def load(self, key: Any) -> Any:
        """Return an entry, or None where there is none or its file is damaged. Raises OSError where it is missing."""
        name, expected = self._load_index().get(key, ("", b""))
        content = Path(self._data_path(name)).read_bytes() if name else b""
        return pickle.loads(content) if digest(content) == expected else None

    def _load_index(self) -> Index:
        """Return the index; an empty one where the file is missing or damaged."""
        with contextlib.suppress(Exception):  # a damaged file can raise anything
            content = Path(self._index_path).read_bytes()
            length = hashlib.sha256().digest_size
            found, data = content[:length], content[length:]
            if found == digest(data):
                return pickle.loads(data)
        return {}

    def _save_index(self, index: Index) -> None:
        data = self._dump(index)
        with self._open_for_write(self._index_path) as file:
            file.write(digest(data) + data)


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
        self._cache_file = CheckedFiles(self._cache_path, self._impl.filename_base, "")
        self.enable()

    def has(self, signature: Any, target_context: Any) -> bool:
        """Return whether there is an entry for a signature."""
        return self._index_key(signature, target_context.codegen()) in self._cache_file._load_index()

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled kernel for a signature. None: it must be compiled."""
        with contextlib.suppress(Exception):
            return super().load_overload(signature, target_context)

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write a compiled kernel, or say that it cannot be written."""
        try:
            super().save_overload(signature, compiled)
        except Exception as error:
            say_once(f"{self._cache_path} cannot be written: {getattr(error, 'strerror', None) or error}")


def add_cache(kernel: Any) -> None:
    """Give a kernel its cache, or say that there is no folder for one. A kernel of another package gets none."""
    if str(kernel.py_func.__module__).partition(".")[0] != "numasync":
        return  # the digest of the folder does not know its source
    folder, reason = open_folder()
    if folder:
        kernel._cache = KernelCache(kernel.py_func, folder)
    else:
        say_once(reason)


def digest(content: bytes) -> bytes:
    """Return 32 bytes that are others for any other content."""
    return hashlib.sha256(content).digest()


def say_once(reason: str) -> None:
    """Say on the standard error that compiled code is not cached: at the first call, and not in a child process."""
    if next(SENTENCES) == 0 and multiprocessing.parent_process() is None and sys.stderr is not None:
        sentence = f"numasync: compiled code is not cached, so every start compiles again: {one_line(reason)}"
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, or it is closed
            print(sentence, file=sys.stderr, flush=True)
