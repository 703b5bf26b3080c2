"""What the tests of tiles and products multiply: the layouts of A, NaNs where nothing may be read, and fences."""

import ctypes
import mmap
from collections.abc import Callable

import numpy as np
import pytest

# (row_stride, col_stride, run_stride, n_runs)
Strides = tuple[int, int, int, int]

# The strides of A for m rows and runs of `terms` terms. "patches" are the patches of an image with 3 rows, a stride of
# 2 and one channel, or their transpose.
LAYOUTS: dict[str, Callable[[int, int], Strides]] = {
    "plain": lambda m, terms: (terms, 1, 0, 1),
    "transposed": lambda m, terms: (1, m, 0, 1),
    "overlapping": lambda m, terms: (2, 1, 0, 1),
    "spread": lambda m, terms: (2 * terms + 1, 2, 0, 1),
    "patches": lambda m, terms: (2, 1, 2 * m + terms, 3),
    "patches transposed": lambda m, terms: (1, 2, m + 2 * terms, 3),
}

layouts = pytest.mark.parametrize("layout", LAYOUTS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def places(m: int, terms: int, strides: Strides) -> np.ndarray:
    """Return where A[i, s, p] lies in a flat array, (m, n_runs, terms)."""
    row_stride, col_stride, run_stride, n_runs = strides
    i, s, p = np.ogrid[:m, :n_runs, :terms]
    return i * row_stride + s * run_stride + p * col_stride


def operand(draw: Callable[..., np.ndarray], m: int, terms: int, strides: Strides) -> np.ndarray:
    """Return `a` for these strides: not one element longer than A needs, and NaN where no element of A lies."""
    at = places(m, terms, strides)
    a = np.full(at.max() + 1, np.nan, draw().dtype)
    a[at] = draw(*at.shape)
    return a


def strided_product(c: np.ndarray, a: np.ndarray, b: np.ndarray, strides: Strides) -> np.ndarray:
    """Return C + A B. c: (m, n); a: flat; b: (k, n)."""
    matrix = a[places(len(c), len(b) // strides[3], strides)]
    return c + matrix.reshape(len(c), len(b)) @ b


def fenced(array: np.ndarray, side: str) -> np.ndarray:
    """Return a copy that begins ("start") or ends ("end") at a page of memory that nobody may touch.

    Whoever touches it crashes.
    """
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
