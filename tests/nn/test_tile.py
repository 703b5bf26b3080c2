"""The register tiles against their twins in plain Python, and the twins against NumPy: one link of the chain each."""

import functools

from support import naive
import numpy as np
import pytest
from support.products import LAYOUTS, drawer, dtypes, layouts, operand

from numasync.nn.products import gemm
from numasync.nn.products.codegen import FLAGS, LANES
from numasync.nn.products.tile import (
    NARROW,
    plain_product,
    plain_product_transposed,
    plain_sparse_row,
    tile_product,
    tile_product_transposed,
    tile_sparse_row,
)
from numasync.runtime.jit import DISABLED, FASTMATH, kernel

TILES = sorted({(rows, vectors) for vectors, *sizes in gemm.PANELS for rows in (*sizes, 1)} | {(1, gemm.WIDE)})
TRANSPOSED = [1, gemm.TRANSPOSED_ROWS]

tiles = pytest.mark.parametrize("rows, vectors", TILES)
compiled_only = pytest.mark.skipif(DISABLED, reason="without compilation a tile is its twin")


@functools.cache
def product(rows, vectors):
    """The tile as a kernel; its sizes are literals there."""

    @kernel
    def run(a, at, row, column, jump, runs, b, j, c, c_at, pitch):
        tile_product(rows, vectors, a, at, row, column, jump, runs, b, j, c, c_at, pitch)

    return run


@functools.cache
def sparse_row(vectors):
    @kernel
    def run(a, b, j, c):
        tile_sparse_row(vectors, a, b, j, c)

    return run


@functools.cache
def product_transposed(rows):
    @kernel
    def run(a, i, b, j, c):
        tile_product_transposed(rows, a, i, b, j, c)

    return run


# Columns that a tile of short vectors takes: fewer than it could, all, and the first of more.
REST = [NARROW - 1, NARROW, NARROW + 2]


def width_of(vectors, left):
    return vectors * LANES or min(left, NARROW)


def arguments(dtype, layout, rows, vectors, terms, left=REST[0], at=3, j=5, corner=(1, 2)):
    """All arguments after the sizes of the tile, C as a matrix, and the rows and columns of the tile in C. left: columns
    that B has from j on, for a tile of short vectors.

    a, b and c are larger than the tile on every side. What a tile must not read is NaN.
    """
    draw = drawer(dtype, seed=terms)
    row, column, jump, runs = strides = LAYOUTS[layout](rows, terms)
    nothing = np.full(at, np.nan, dtype)
    a = np.concatenate([nothing, operand(draw, rows, terms, *strides), nothing])
    width = width_of(vectors, left)
    n = width + 7 if vectors else j + left
    b, c = np.full((runs * terms, n), np.nan, dtype), draw(rows + 2, width + 11)
    b[:, j : j + width] = draw(runs * terms, width)
    pitch = c.shape[1]
    inside = slice(corner[0], corner[0] + rows), slice(corner[1], corner[1] + width)
    return (a, at, row, column, jump, runs, b, j, c.reshape(-1), corner[0] * pitch + corner[1], pitch), c, inside


def assert_outside_unchanged(c, before, inside):
    outside = np.ones(c.shape, bool)
    outside[inside] = False
    np.testing.assert_array_equal(c[outside], before[outside])


def test_the_tiles_of_gemm_are_found():
    assert len(TILES) > 5 and len(TRANSPOSED) > 1


def test_nan_and_inf_are_kept():
    # Today's LLVM makes nothing of these flags in a tile, so no result would show them.
    assert not {"fast", "nnan", "ninf"} & (set(FLAGS) | FASTMATH) and set(FLAGS) <= FASTMATH


@dtypes
@layouts
@tiles
@pytest.mark.parametrize("left", REST)
def test_twin_of_product(dtype, layout, rows, vectors, left):
    given, c, inside = arguments(dtype, layout, rows, vectors, terms=6, left=left)
    a, at, row, column, jump, runs, b, j, *_ = given
    before = c.copy()
    plain_product(rows, vectors, *given)
    columns = b[:, j : j + width_of(vectors, left)]
    naive.assert_close(c[inside], naive.add_product(a[at:], row, column, jump, runs, columns, before[inside]))
    assert_outside_unchanged(c, before, inside)


# Terms that fill no chain, or fill chains with and without a rest.
@compiled_only
@dtypes
@layouts
@tiles
def test_product(dtype, layout, rows, vectors):
    for terms, left in [(1, 3), (2, 4), (8, 6), (19, 3), (32, 1)]:
        given, c, inside = arguments(dtype, layout, rows, vectors, terms, left)
        before, expected = c.copy(), c.copy()
        *operands, _, c_at, pitch = given
        plain_product(rows, vectors, *operands, expected.reshape(-1), c_at, pitch)
        product(rows, vectors)(*given)
        naive.assert_close(c, expected)
        assert_outside_unchanged(c, before, inside)


@dtypes
@tiles
def test_product_of_no_terms(dtype, rows, vectors):
    c = drawer(dtype)(rows * width_of(vectors, NARROW))
    before = c.copy()
    pitch = c.size // rows
    product(rows, vectors)(np.empty(0, dtype), 0, 1, 1, 1, 2, np.empty((0, pitch), dtype), 0, c, 0, pitch)
    np.testing.assert_array_equal(c, before)


def sparse_arguments(dtype, vectors, k, zeros, j=5):
    """All arguments after vectors; zeros: the share of zeros in a. Rows of B that must not be read are NaN."""
    draw = drawer(dtype, seed=k)
    a, b, c = draw(k), draw(k, j + vectors * LANES + 3), draw(vectors * LANES + 7)
    a[np.random.default_rng(k).random(k) < zeros] = 0
    # The last rows, fewer than LANES, are read in any case.
    b[: k - k % LANES][a[: k - k % LANES] == 0] = np.nan
    return a, b, j, c


sparse_rows = pytest.mark.parametrize("vectors", [gemm.WIDE, gemm.WIDEST])
shares = pytest.mark.parametrize("zeros", [0.0, 0.5, 0.97, 1.0])


@dtypes
@shares
@sparse_rows
def test_twin_of_sparse_row(dtype, vectors, zeros):
    a, b, j, c = sparse_arguments(dtype, vectors, 64, zeros)
    width = vectors * LANES
    expected = c.copy()
    expected[:width] += a @ np.where(a[:, None] == 0, 0, b)[:, j : j + width]
    plain_sparse_row(vectors, a, b, j, c)
    naive.assert_close(c, expected)


@compiled_only
@dtypes
@shares
@sparse_rows
@pytest.mark.parametrize("k", [0, 1, LANES - 1, LANES, 3 * LANES + 2, 300])
def test_sparse_row(dtype, vectors, zeros, k):
    a, b, j, c = sparse_arguments(dtype, vectors, k, zeros)
    expected = c.copy()
    plain_sparse_row(vectors, a, b, j, expected)
    sparse_row(vectors)(a, b, j, c)
    naive.assert_close(c, expected)


@compiled_only
@dtypes
def test_a_sparse_row_takes_nan_and_what_is_almost_zero_for_no_zeros(dtype):
    a, b, j, c = sparse_arguments(dtype, gemm.WIDE, 2 * LANES, 1.0)
    b[:] = 1
    a[3], a[LANES + 5] = np.finfo(dtype).tiny, np.nan
    sparse_row(gemm.WIDE)(a, b, j, c)
    assert np.isnan(c[: gemm.WIDE * LANES]).all() and np.isfinite(c[gemm.WIDE * LANES :]).all()
    a[LANES + 5] = -0.0
    c[:] = 0
    sparse_row(gemm.WIDE)(a, b, j, c)
    assert (c[: gemm.WIDE * LANES] == np.finfo(dtype).tiny).all()


def transposed_arguments(dtype, rows, n, i=2, j=3):
    """All arguments after rows, and the rows and columns of the tile in C. Rows that must not be read are NaN."""
    draw = drawer(dtype, seed=n)
    columns = LANES // rows
    inside = slice(i, i + rows), slice(j, j + columns)
    a, b = np.full((i + rows + 1, n), np.nan, dtype), np.full((j + columns + 2, n), np.nan, dtype)
    a[inside[0]], b[inside[1]] = draw(rows, n), draw(columns, n)
    return (a, i, b, j, draw(len(a), len(b))), inside


@dtypes
@pytest.mark.parametrize("n", [0, 16, 48])
@pytest.mark.parametrize("rows", TRANSPOSED)
def test_twin_of_product_transposed(dtype, n, rows):
    given, inside = transposed_arguments(dtype, rows, n)
    a, _, b, _, c = given
    before = c.copy()
    plain_product_transposed(rows, *given)
    naive.assert_close(c[inside], naive.add_product_transposed(a[inside[0]], b[inside[1]], before[inside]))
    assert_outside_unchanged(c, before, inside)


@compiled_only
@dtypes
@pytest.mark.parametrize("n", [0, 16, 48, 256])
@pytest.mark.parametrize("rows", TRANSPOSED)
def test_product_transposed(dtype, n, rows):
    given, inside = transposed_arguments(dtype, rows, n)
    *operands, c = given
    before, expected = c.copy(), c.copy()
    plain_product_transposed(rows, *operands, expected)
    product_transposed(rows)(*given)
    naive.assert_close(c, expected)
    assert_outside_unchanged(c, before, inside)
