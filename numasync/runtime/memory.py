"""Arrays that lie in memory as threads and caches like it.

Lines: small arrays that are allocated one after the other lie in the same cache line. Where two threads write to such
neighbours, the line travels between their cores at every write, though neither reads what the other wrote ("false
sharing"): two workers were slower for it by a tenth at most times, and by half at others. An array that begins at a
line also lets vector loads of a whole line touch no second one.

Pages: a processor remembers where a few thousand pages of memory lie. The parameters of the paper's network fill 700
pages of 4 KiB, and there are four arrays like them; of 2 MiB, two pages each. Pong is learned a tenth faster with them.
"""

import contextlib
import mmap

import numpy as np

# Bytes: two lines of 64, because processors fetch them in pairs.
LINE = 128

# Bytes of a huge page of Linux, which gives them where it is asked to and has some.
HUGE_PAGE = 2 * 1024 * 1024


def aligned_zeros(shape, dtype):
    """np.zeros in lines of its own, and in huge pages where they would be half full or more. shape: a tuple."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if 2 * size >= HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory, boundary = huge_pages(size), HUGE_PAGE
    else:
        memory, boundary = np.zeros(size + 2 * LINE, np.uint8), LINE
    start = -memory.ctypes.data % boundary
    return memory[start : start + size].view(dtype).reshape(shape)


def huge_pages(size):
    """Bytes of zeros, so many more than `size` that whole huge pages of that size lie in them, if there are any."""
    memory = mmap.mmap(-1, (size // HUGE_PAGE + 2) * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a system without them refuses
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def aligned_copy(array):
    """A copy of an array in lines of its own."""
    copy = aligned_zeros(array.shape, array.dtype)
    copy[:] = array
    return copy
