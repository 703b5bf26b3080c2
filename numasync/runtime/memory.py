"""Arrays that are aligned in memory to cache lines, and large ones to huge pages.

Cache lines: small arrays that are allocated one after the other can share a cache line. If two threads write to two
such arrays, the line moves between their cores at every write, although neither thread reads the other's data ("false
sharing"). Two workers were usually a tenth slower because of it, at times a half. Alignment also keeps a vector load of
a whole line within one line.

Huge pages: a processor caches the addresses of a few thousand pages (the TLB). The parameters of the paper's network
fill 700 pages of 4 KiB, and a run has four arrays of that size. With huge pages of 2 MiB an array needs two. They make
training on Pong a tenth faster.
"""

import contextlib
import mmap

import numpy as np
from numpy.typing import DTypeLike

# Bytes. Twice the 64 of a cache line, because processors fetch lines in pairs.
CACHE_LINE = 128

# Bytes of a huge page of Linux.
HUGE_PAGE = 2 * 1024 * 1024


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros that share no cache line with another array.

    An array that fills at least half a huge page begins at one, and the system is asked for huge pages.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if 2 * size >= HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory, boundary = map_huge_pages(size), HUGE_PAGE
    else:
        memory, boundary = np.zeros(size + 2 * CACHE_LINE, np.uint8), CACHE_LINE
    start = -memory.ctypes.data % boundary
    return memory[start : start + size].view(dtype).reshape(shape)


def map_huge_pages(size: int) -> np.ndarray:
    """Return zeros, uint8, that hold `size` bytes in whole huge pages, wherever these begin.

    If the system refuses huge pages, the memory has pages of the usual size.
    """
    memory = mmap.mmap(-1, (size // HUGE_PAGE + 2) * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # the system refuses
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """Return a copy of an array that shares no cache line with another array."""
    copy = aligned_zeros(array.shape, array.dtype)
    copy[:] = array
    return copy
