"""The register tiles against their reference versions in Python, and the reference versions against NumPy."""

import functools

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import LAYOUTS, dtypes, layouts, operand, strided_product

from numasync.nn.products import gemm
from numasync.nn.products.codegen import FLAGS
from numasync.nn.products.tile import (
    NARROW,
    reference_product,
    reference_product_nt,
    tile_product,
    tile_product_nt,
)
from numasync.runtime.jit import FASTMATH, kernel
from numasync.runtime.vectors import LANES

TILES = sorted({(rows, vectors) for vectors, *sizes in gemm.PANELS for rows in (*sizes, 1)} | {(1, gemm.WIDE)})
NT_TILES = [1, gemm.NT_ROWS]

tiles = pytest.mark.parametrize("rows, vectors", TILES)
# Without compilation a tile is its reference version.
compiled = pytest.mark.compiled


@functools.cache
def product(rows, vectors):
    """The tile as a kernel; its sizes are literals there."""

    @kernel
    def run(c, a, b, c_at, a_at, j, strides, ldc):
        tile_product(c, a, b, rows, vectors, c_at, a_at, j, strides, ldc)

    return run


@functools.cache
def product_nt(rows):
    @kernel
    def run(c, a, b, i, j):
        tile_product_nt(c, a, b, rows, i, j)

    return run


# Columns from j on that a tile of short vectors finds: fewer than it can take, as many as it can, and more.
REST = [NARROW - 1, NARROW, NARROW + 2]


def width_of(vectors, left):
    return vectors * LANES or min(left, NARROW)


class Product:
    """C += A B for one tile. a, b and c are larger than the tile on every side; what it must not read is NaN.

    left: columns that B has from j on, for a tile of short vectors. corner: the row and column of C where it begins.
    """

    def __init__(self, dtype, layout, rows, vectors, terms, left=REST[0], at=3, j=5, corner=(1, 2)):
        draw = drawer(dtype, seed=terms)
        self.at, self.j, self.strides = at, j, LAYOUTS[layout](rows, terms)
        self.width, n_runs = width_of(vectors, left), self.strides[3]
        nothing = np.full(at, np.nan, dtype)
        self.a = np.concatenate([nothing, operand(draw, rows, terms, self.strides), nothing])
        n = self.width + 7 if vectors else j + left
        self.b, self.c = np.full((n_runs * terms, n), np.nan, dtype), draw(rows + 2, self.width + 11)
        self.b[:, j : j + self.width] = draw(n_runs * terms, self.width)
        self.before = self.c.copy()
        self.ldc = self.c.shape[1]
        self.c_at = corner[0] * self.ldc + corner[1]
        self.inside = slice(corner[0], corner[0] + rows), slice(corner[1], corner[1] + self.width)

    def operands(self, c):
        """c, a and b, as a tile takes them."""
        return c.reshape(-1), self.a, self.b

    def places(self):
        """The arguments after the sizes of the tile."""
        return self.c_at, self.at, self.j, self.strides, self.ldc

    def expected(self):
        """C as NumPy computes it, inside of the tile."""
        columns = self.b[:, self.j : self.j + self.width]
        return strided_product(self.before[self.inside], self.a[self.at :], columns, self.strides)


def assert_outside_unchanged(c, before, inside):
    outside = np.ones(c.shape, bool)
    outside[inside] = False
    np.testing.assert_array_equal(c[outside], before[outside])


def test_the_tiles_of_gemm_are_found():
    assert len(TILES) > 5 and len(NT_TILES) > 1


def test_nan_and_inf_are_kept():
    # Today's LLVM makes nothing of these flags in a tile, so no result would show them.
    assert not {"fast", "nnan", "ninf"} & (set(FLAGS) | FASTMATH) and set(FLAGS) <= FASTMATH


@dtypes
@layouts
@tiles
@pytest.mark.parametrize("left", REST)
def test_reference_of_product(dtype, layout, rows, vectors, left):
    case = Product(dtype, layout, rows, vectors, terms=6, left=left)
    reference_product(*case.operands(case.c), rows, vectors, *case.places())
    assert_close(case.c[case.inside], case.expected())
    assert_outside_unchanged(case.c, case.before, case.inside)


# Terms that fill no chain, or fill chains with and without a rest.
@compiled
@dtypes
@layouts
@tiles
def test_product(dtype, layout, rows, vectors):
    for terms, left in [(1, 3), (2, 4), (8, 6), (19, 3), (32, 1)]:
        case = Product(dtype, layout, rows, vectors, terms, left)
        expected = case.c.copy()
        reference_product(*case.operands(expected), rows, vectors, *case.places())
        product(rows, vectors)(*case.operands(case.c), *case.places())
        assert_close(case.c, expected)
        assert_outside_unchanged(case.c, case.before, case.inside)


@dtypes
@tiles
def test_product_of_no_terms(dtype, rows, vectors):
    c = drawer(dtype)(rows * width_of(vectors, NARROW))
    before = c.copy()
    ldc = c.size // rows
    product(rows, vectors)(c, np.empty(0, dtype), np.empty((0, ldc), dtype), 0, 0, 0, (1, 1, 1, 2), ldc)
    np.testing.assert_array_equal(c, before)


def nt_arguments(dtype, rows, n, i=2, j=3):
    """c, a, b, i and j, and the rows and columns of the tile in C. Rows that must not be read are NaN."""
    draw = drawer(dtype, seed=n)
    columns = LANES // rows
    inside = slice(i, i + rows), slice(j, j + columns)
    a, b = np.full((i + rows + 1, n), np.nan, dtype), np.full((j + columns + 2, n), np.nan, dtype)
    a[inside[0]], b[inside[1]] = draw(rows, n), draw(columns, n)
    return draw(len(a), len(b)), a, b, i, j, inside


@dtypes
@pytest.mark.parametrize("n", [0, 16, 48])
@pytest.mark.parametrize("rows", NT_TILES)
def test_reference_of_product_nt(dtype, n, rows):
    c, a, b, i, j, inside = nt_arguments(dtype, rows, n)
    before = c.copy()
    reference_product_nt(c, a, b, rows, i, j)
    assert_close(c[inside], before[inside] + a[inside[0]] @ b[inside[1]].T)
    assert_outside_unchanged(c, before, inside)


@compiled
@dtypes
@pytest.mark.parametrize("n", [0, 16, 48, 256])
@pytest.mark.parametrize("rows", NT_TILES)
def test_product_nt(dtype, n, rows):
    c, a, b, i, j, inside = nt_arguments(dtype, rows, n)
    before, expected = c.copy(), c.copy()
    reference_product_nt(expected, a, b, rows, i, j)
    product_nt(rows)(c, a, b, i, j)
    assert_close(c, expected)
    assert_outside_unchanged(c, before, inside)
