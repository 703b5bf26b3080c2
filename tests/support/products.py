"""What the tests of tile.py and gemm.py multiply: the layouts of A, NaNs where nothing may be read, and fences."""

import ctypes
import mmap

from support import naive
import numpy as np
import pytest

# The strides of A and its runs, (row, column, jump, runs), for m rows and runs of `terms` terms. "patches" are those of an
# image with 3 rows, a stride of 2 and one channel, or their transpose.
LAYOUTS = {
    "plain": lambda m, terms: (terms, 1, 0, 1),
    "transposed": lambda m, terms: (1, m, 0, 1),
    "overlapping": lambda m, terms: (2, 1, 0, 1),
    "spread": lambda m, terms: (2 * terms + 1, 2, 0, 1),
    "patches": lambda m, terms: (2, 1, 2 * m + terms, 3),
    "patches transposed": lambda m, terms: (1, 2, m + 2 * terms, 3),
}

layouts = pytest.mark.parametrize("layout", LAYOUTS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def drawer(dtype, seed=1):
    generator = np.random.default_rng(seed)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def operand(draw, m, terms, row, column, jump, runs):
    """`a` for these strides, not one element longer than A needs, and NaN where no element of A lies."""
    cells = naive.cells(m, terms, row, column, jump, runs)
    a = np.full(cells.max() + 1, np.nan, draw().dtype)
    a[cells] = draw(*cells.shape)
    return a


def fenced(array, side):
    """A copy that begins ("start") or ends ("end") at a page of memory that nobody may touch: whoever does, crashes."""
    size = -(-max(array.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None).mprotect
    for page in (base, base + mmap.PAGESIZE + size):
        assert protect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    offset = mmap.PAGESIZE + (size - array.nbytes if side == "end" else 0)
    copy = np.ndarray(array.shape, array.dtype, memory, offset)
    copy[...] = array
    return copy
