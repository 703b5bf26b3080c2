"""The register tiles against their twins in plain Python, and the twins against NumPy: one link of the chain each."""

import ast
import functools
import inspect

import naive
import numpy as np
import pytest
from products import LAYOUTS, drawer, dtypes, layouts, operand

from numasync.jit import DISABLED, FASTMATH, kernel
from numasync.nn import gemm
from numasync.nn.tile import (
    FLAGS,
    LANES,
    plain_product,
    plain_product_transposed,
    tile_product,
    tile_product_transposed,
)


def tiles_of_gemm(name, sizes):
    """The first arguments, `sizes` of them, of every call of `name` in gemm.py: literals or its constants."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(gemm))) if isinstance(node, ast.Call)]
    calls = [call for call in calls if getattr(call.func, "id", None) == name]
    return sorted({tuple(eval(ast.unparse(x), vars(gemm)) for x in call.args[:sizes]) for call in calls})


TILES = tiles_of_gemm("tile_product", 2)
TRANSPOSED = [rows for (rows,) in tiles_of_gemm("tile_product_transposed", 1)]

tiles = pytest.mark.parametrize("rows, vectors", TILES)
compiled_only = pytest.mark.skipif(DISABLED, reason="without compilation a tile is its twin")


@functools.cache
def product(rows, vectors):
    """The tile as a kernel; its size is a literal there."""

    @kernel
    def run(a, at, row, column, jump, runs, b, b_at, n, c, c_at):
        tile_product(rows, vectors, a, at, row, column, jump, runs, b, b_at, n, c, c_at)

    return run


@functools.cache
def product_transposed(rows):
    @kernel
    def run(a, i, b, j, c):
        tile_product_transposed(rows, a, i, b, j, c)

    return run


def width_of(vectors):
    return vectors * LANES or LANES - 3


def arguments(dtype, layout, rows, vectors, terms, at=3, b_at=5, corner=(1, 2)):
    """All arguments after rows and vectors, and the rows and columns of the tile in C.

    a, b and c are larger than the tile on every side. What a tile must not read is NaN.
    """
    draw = drawer(dtype, seed=terms)
    row, column, jump, runs = strides = LAYOUTS[layout](rows, terms)
    nothing = np.full(at, np.nan, dtype)
    a = np.concatenate([nothing, operand(draw, rows, terms, *strides), nothing])
    width = width_of(vectors)
    # A tile of no whole vector takes the columns that are left of b.
    n = width + 7 if vectors else b_at + width
    b, c = np.full((runs * terms, n), np.nan, dtype), draw(rows + 2, n)
    b[:, b_at : b_at + width] = draw(runs * terms, width)
    inside = slice(corner[0], corner[0] + rows), slice(corner[1], corner[1] + width)
    return (a, at, row, column, jump, runs, b, b_at, n, c, corner[0] * n + corner[1]), inside


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
def test_twin_of_product(dtype, layout, rows, vectors):
    given, inside = arguments(dtype, layout, rows, vectors, terms=6)
    a, at, row, column, jump, runs, b, b_at, _, c, _ = given
    before = c.copy()
    plain_product(rows, vectors, *given)
    columns = b[:, b_at : b_at + width_of(vectors)]
    naive.assert_close(c[inside], naive.add_product(a[at:], row, column, jump, runs, columns, before[inside]))
    assert_outside_unchanged(c, before, inside)


@compiled_only
@dtypes
@layouts
@tiles
def test_product(dtype, layout, rows, vectors):
    for terms in (1, 2, 19):
        given, inside = arguments(dtype, layout, rows, vectors, terms)
        *operands, c, c_at = given
        before, expected = c.copy(), c.copy()
        plain_product(rows, vectors, *operands, expected, c_at)
        product(rows, vectors)(*given)
        naive.assert_close(c, expected)
        assert_outside_unchanged(c, before, inside)


@dtypes
@tiles
def test_product_of_no_terms(dtype, rows, vectors):
    c = drawer(dtype)(rows, width_of(vectors))
    before = c.copy()
    product(rows, vectors)(np.empty(0, dtype), 0, 1, 1, 1, 2, np.empty((0, c.shape[1]), dtype), 0, c.shape[1], c, 0)
    np.testing.assert_array_equal(c, before)


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
