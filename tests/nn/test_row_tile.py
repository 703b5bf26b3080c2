"""The tiles of products with one row against their reference version, and the reference versions against NumPy."""

import functools

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import dtypes

from numasync.nn.products import gemm
from numasync.nn.products.row_tile import (
    ROWS,
    reference_row,
    reference_row_part,
    tile_row,
    tile_sparse_row,
    tile_sparse_row_part,
)
from numasync.runtime.jit import kernel
from numasync.runtime.vectors import LANES

# Without compilation a tile is its reference version.
compiled = pytest.mark.compiled


@kernel
def row(c, a, b):
    tile_row(c, a, b)


@kernel
def sparse_row(c, a, b):
    tile_sparse_row(c, a, b)


@functools.cache
def sparse_row_part(vectors):
    @kernel
    def run(c, a, b, j):
        tile_sparse_row_part(c, a, b, vectors, j)

    return run


def row_arguments(dtype, n, k, zeros):
    """c, a and b; zeros: the share of zeros in a. Rows of B that must not be read are NaN."""
    draw = drawer(dtype, seed=k)
    a, b, c = draw(k), draw(k, n), draw(n)
    a[np.random.default_rng(k).random(k) < zeros] = 0
    # The last rows, fewer than LANES, are read in any case.
    b[: k - k % LANES][a[: k - k % LANES] == 0] = np.nan
    return c, a, b


widths = pytest.mark.parametrize("n", [LANES - 1, LANES, 3 * LANES + 2, 256])
lengths = pytest.mark.parametrize("k", [0, 1, ROWS, 2 * ROWS, 2 * ROWS + 1, LANES - 1, LANES, 3 * LANES + 2, 300])
shares = pytest.mark.parametrize("zeros", [0.0, 0.5, 0.97, 1.0])


@dtypes
@shares
@widths
def test_reference_of_row(dtype, n, zeros):
    c, a, b = row_arguments(dtype, n, 64, zeros)
    whole = n - n % LANES
    expected = c.copy()
    expected[:whole] += a @ np.where(a[:, None] == 0, 0, b)[:, :whole]
    reference_row(c, a, b)
    assert_close(c, expected)


@compiled
@dtypes
@widths
@lengths
def test_row(dtype, n, k):
    c, a, b = row_arguments(dtype, n, k, 0.0)
    expected = c.copy()
    reference_row(expected, a, b)
    row(c, a, b)
    assert_close(c, expected)


@compiled
@dtypes
@shares
@widths
@lengths
def test_sparse_row(dtype, n, zeros, k):
    c, a, b = row_arguments(dtype, n, k, zeros)
    expected = c.copy()
    reference_row(expected, a, b)
    sparse_row(c, a, b)
    assert_close(c, expected)


@compiled
@dtypes
def test_a_sparse_row_takes_nan_and_what_is_almost_zero_for_no_zeros(dtype):
    c, a, b = row_arguments(dtype, 2 * LANES + 3, 2 * LANES, 1.0)
    width = 2 * LANES
    b[:] = 1
    a[3], a[LANES + 1] = np.finfo(dtype).tiny, np.nan
    sparse_row(c, a, b)
    assert np.isnan(c[:width]).all() and np.isfinite(c[width:]).all()
    a[LANES + 1] = -0.0
    c[:] = 0
    sparse_row(c, a, b)
    assert (c[:width] == np.finfo(dtype).tiny).all()


def part_arguments(dtype, vectors, k, zeros, j=5):
    """c, a, b and j, as in `row_arguments`."""
    c, a, b = row_arguments(dtype, j + vectors * LANES + 3, k, zeros)
    return c[: vectors * LANES + 7].copy(), a, b, j


parts = pytest.mark.parametrize("vectors", [gemm.WIDE, gemm.WIDEST])


@dtypes
@shares
@parts
def test_reference_of_a_part_of_a_row(dtype, vectors, zeros):
    c, a, b, j = part_arguments(dtype, vectors, 64, zeros)
    width = vectors * LANES
    expected = c.copy()
    expected[:width] += a @ np.where(a[:, None] == 0, 0, b)[:, j : j + width]
    reference_row_part(c, a, b, vectors, j)
    assert_close(c, expected)


@compiled
@dtypes
@shares
@parts
@lengths
def test_a_part_of_a_sparse_row(dtype, vectors, zeros, k):
    c, a, b, j = part_arguments(dtype, vectors, k, zeros)
    expected = c.copy()
    reference_row_part(expected, a, b, vectors, j)
    sparse_row_part(vectors)(c, a, b, j)
    assert_close(c, expected)
