"""The matrix products against NumPy, over shapes that hit every tile and every remainder."""

import itertools
import os

from support import naive
import numpy as np
import pytest
from support.products import LAYOUTS, drawer, dtypes, fenced, layouts, operand

from numasync.nn.products.gemm import (
    add_column_products,
    add_product,
    add_product_transposed,
    add_row_product,
    add_wanted_products,
    transpose,
)

# Columns: less than a vector, a vector and its neighbours, 2, 3, 4, 5, 7 and 8 vectors, and every panel plus the rest.
COLUMNS = [1, 2, 15, 16, 17, 32, 37, 48, 64, 80, 112, 128, 243]
columns = pytest.mark.parametrize("n", COLUMNS)
sides = pytest.mark.parametrize("side", ["start", "end"])
fences = pytest.mark.skipif(os.name == "nt", reason="mprotect is POSIX")


def multiply(given, c):
    """add_product on a matrix C."""
    add_product(len(c), *given, c.reshape(-1), c.shape[1])


def operands(dtype, layout, m, terms, n):
    """(a, row, column, jump, runs, b, c), C not zero."""
    draw = drawer(dtype, seed=m)
    row, column, jump, runs = strides = LAYOUTS[layout](m, terms)
    return operand(draw, m, terms, *strides), row, column, jump, runs, draw(runs * terms, n), draw(m, n)


@dtypes
@layouts
@columns
def test_add_product(dtype, layout, n):
    for m in range(1, 22):
        *given, c = operands(dtype, layout, m, 1 + m % 5, n)
        expected = naive.add_product(*given, c)
        multiply(given, c)
        naive.assert_close(c, expected)


@dtypes
@pytest.mark.parametrize("m, terms, n", [(1, 300, 243), (6, 256, 36), (13, 257, 64), (20, 100, 48), (9, 700, 81)])
def test_add_product_of_long_sums(dtype, m, terms, n):
    for layout in LAYOUTS:
        *given, c = operands(dtype, layout, m, terms, n)
        expected = naive.add_product(*given, c)
        multiply(given, c)
        naive.assert_close(c, expected)


@dtypes
@columns
def test_add_product_to_columns_of_a_wider_matrix(dtype, n):
    for m in (1, 2, 5, 11):
        *given, _ = operands(dtype, "plain", m, 9, n)
        wide = drawer(dtype)(m, n + 13)
        expected = wide.copy()
        expected[:, :n] = naive.add_product(*given, wide[:, :n])
        multiply(given, wide)
        naive.assert_close(wide, expected)
        np.testing.assert_array_equal(wide[:, n:], expected[:, n:])


@dtypes
@pytest.mark.parametrize("m, k, n", [(0, 3, 80), (3, 0, 80), (3, 4, 0), (0, 0, 0)])
def test_empty_products(dtype, m, k, n):
    draw = drawer(dtype)
    a, b, c = draw(m, k), draw(k, n), draw(m, n)
    expected = c.copy()
    multiply((a.reshape(a.size), k, 1, 0, 1, b), c)
    np.testing.assert_array_equal(c, expected)

    a, b, c = draw(m, n), draw(k, n), draw(m, k)
    expected = naive.add_product_transposed(a, b, c)
    add_product_transposed(a, b, c)
    naive.assert_close(c, expected)


# Terms of a dot product: whole vectors, which are tiled, and others, which are not.
@dtypes
@pytest.mark.parametrize("n", [1, 5, 15, 16, 17, 32, 80])
@pytest.mark.parametrize("k", [1, 3, 4, 15, 16, 17, 37, 48])
def test_add_product_transposed(dtype, n, k):
    for m in (1, 2, 3, 4, 5, 8, 11):
        draw = drawer(dtype, seed=m)
        a, b, c = draw(m, n), draw(k, n), draw(m, k)
        expected = naive.add_product_transposed(a, b, c)
        add_product_transposed(a, b, c)
        naive.assert_close(c, expected)


@dtypes
@pytest.mark.parametrize("m", [1, 3, 4, 9])
@pytest.mark.parametrize("share", [0, 0.02, 0.5])
def test_add_wanted_products(dtype, m, share):
    draw = drawer(dtype, seed=m)
    a, b, before = draw(m, 32), draw(53, 32), draw(m, 53)
    c = before.copy()
    wanted = (np.random.default_rng(m).random((m, 53)) < share).astype(dtype)
    expected = naive.add_product_transposed(a, b, before)
    add_wanted_products(a, b, c, wanted)
    naive.assert_close(c[wanted != 0], expected[wanted != 0])
    naive.assert_close(c, np.where(c == before, before, expected))
    if share == 0:
        np.testing.assert_array_equal(c[:, :48], before[:, :48])


@dtypes
@pytest.mark.parametrize("n", [*COLUMNS, 256, 400])
def test_add_row_product(dtype, n):
    for k in (0, 1, 15, 16, 40, 300):
        draw = drawer(dtype, seed=k)
        a, b, c = np.maximum(draw(k), 0), draw(k, n), draw(n)
        expected = c + a @ b
        add_row_product(a, b, c)
        naive.assert_close(c, expected)


# Which columns of A hold nothing but zeros, by their number.
ZERO_COLUMNS = {
    "none": lambda j: j < 0,
    "all": lambda j: j >= 0,
    "every other": lambda j: j % 2 == 0,
    "long runs": lambda j: j % 9 < 4,
    "all but the last": lambda j: j < j[-1],
}
zero_columns = pytest.mark.parametrize("zero", ZERO_COLUMNS)


def sparse_operands(dtype, zero, k, m, n):
    """(a, b, c, the zero columns of a); its other columns have a zero or two of their own, and some begin with one."""
    draw = drawer(dtype, seed=k)
    a, b, c = np.maximum(draw(k, m), 0), draw(k, n), draw(m, n)
    empty = ZERO_COLUMNS[zero](np.arange(m))
    a[-1] = 1
    a[:, empty] = 0
    return a, b, c, empty


@dtypes
@zero_columns
@columns
def test_add_column_products(dtype, zero, n):
    for k in (1, 2, 5, 20):
        for m in (1, 2, 30):
            a, b, c, empty = sparse_operands(dtype, zero, k, m, n)
            before, expected = c.copy(), c + a.T @ b
            add_column_products(a, b, c)
            naive.assert_close(c, expected)
            np.testing.assert_array_equal(c[empty], before[empty])


@dtypes
@pytest.mark.parametrize("k, m, n", [(0, 3, 17), (3, 0, 17), (3, 4, 0)])
def test_empty_column_products(dtype, k, m, n):
    draw = drawer(dtype)
    a, b, c = draw(k, m), draw(k, n), draw(m, n)
    expected = c.copy()
    add_column_products(a, b, c)
    np.testing.assert_array_equal(c, expected)


@dtypes
@pytest.mark.parametrize("k, n", [(1, 1), (3, 5), (64, 7), (0, 3)])
def test_transpose(dtype, k, n):
    b, out = drawer(dtype)(k, n), np.full((n, k), np.nan, dtype)
    transpose(b, out)
    np.testing.assert_array_equal(out, b.T)


@fences
@dtypes
@layouts
@sides
def test_add_product_stays_in_its_arrays(dtype, layout, side):
    for n in COLUMNS:
        for m in (1, 2, 5, 8, 11):
            *given, b, c = operands(dtype, layout, m, 3, n)
            expected = naive.add_product(*given, b, c)
            a, b, c = (fenced(x, side) for x in (given[0], b, c))
            multiply((a, *given[1:], b), c)
            naive.assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if " in " in name])
def test_add_product_of_patches_stays_in_its_arrays(dtype, layout, side):
    for m, terms, n in itertools.product((8, 9, 10, 12, 24), (3, 6, 8), (16, 37)):
        *given, b, c = operands(dtype, layout, m, terms, n)
        expected = naive.add_product(*given, b, c)
        a, b, c = (fenced(x, side) for x in (given[0], b, c))
        multiply((a, *given[1:], b), c)
        naive.assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("n", [17, 128, 243, 256])
def test_add_row_product_stays_in_its_arrays(dtype, side, n):
    draw = drawer(dtype)
    for k in (1, 16, 19):
        a, b, c = (fenced(x, side) for x in (draw(k), draw(k, n), draw(n)))
        expected = c + a @ b
        add_row_product(a, b, c)
        naive.assert_close(c, expected)


@fences
@dtypes
@sides
@zero_columns
@pytest.mark.parametrize("n", [7, 16, 243])
def test_add_column_products_stays_in_its_arrays(dtype, side, zero, n):
    for k, m in ((1, 1), (5, 30), (20, 19)):
        *given, _ = sparse_operands(dtype, zero, k, m, n)
        a, b, c = (fenced(x, side) for x in given)
        expected = c + a.T @ b
        add_column_products(a, b, c)
        naive.assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("n", [1, 15, 16, 17, 48])
def test_add_product_transposed_stays_in_its_arrays(dtype, side, n):
    draw = drawer(dtype)
    for k in (1, 15, 16, 19, 32):
        for m in (1, 3, 4, 7):
            a, b, c = (fenced(x, side) for x in (draw(m, n), draw(k, n), draw(m, k)))
            expected = naive.add_product_transposed(a, b, c)
            add_product_transposed(a, b, c)
            naive.assert_close(c, expected)


def assert_same_with_nan_and_inf(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# A run that diverges must be seen: NaN, inf * 0 and inf - inf end as NaN, and in their own row or column alone.
SPOILED = [(np.nan,), (np.inf,), (-np.inf,), (np.inf, -np.inf)]
spoiled = pytest.mark.parametrize("values", SPOILED, ids=str)


@dtypes
@spoiled
@pytest.mark.parametrize("m", [1, 21])
def test_add_product_keeps_nan_and_inf(dtype, values, m):
    n, k = COLUMNS[-1], 5
    draw = drawer(dtype)
    for i in range(m):
        a, b, c = draw(m, k), draw(k, n), draw(m, n)
        a[i, : len(values)] = values
        b[: len(values), ::3] = 0
        b[-len(values) :, i::17] = values[0]
        a[:, -len(values) :] = np.abs(a[:, -len(values) :])
        with np.errstate(invalid="ignore"):
            expected = naive.add_product(a.reshape(-1), k, 1, 0, 1, b, c)
            multiply((a.reshape(-1), k, 1, 0, 1, b), c)
        assert_same_with_nan_and_inf(c, expected)
        assert not np.isfinite(expected[i]).any() and np.isfinite(expected).any() == (m > 1)


@dtypes
@spoiled
@pytest.mark.parametrize("n", [5, 16, 32])
def test_add_product_transposed_keeps_nan_and_inf(dtype, values, n):
    draw = drawer(dtype)
    for i in range(7):
        a, b, c = draw(7, n), draw(19, n), draw(7, 19)
        a[i, : len(values)] = values
        b[::3, : len(values)] = 0
        b[3 * i, -1] = values[0]
        with np.errstate(invalid="ignore"):
            expected = naive.add_product_transposed(a, b, c)
            add_product_transposed(a, b, c)
        assert_same_with_nan_and_inf(c, expected)
        assert not np.isfinite(expected[i]).any() and np.isfinite(expected).any()


@dtypes
def test_twins_are_the_matrix_products(dtype):
    draw = drawer(dtype)
    a, b, c = draw(5, 6), draw(6, 7), draw(5, 7)
    naive.assert_close(naive.add_product(a.reshape(30), 6, 1, 0, 1, b, c), c + a @ b)
    naive.assert_close(naive.add_product(a.reshape(30), 6, 1, 2, 3, b, c), c + a @ b)
    naive.assert_close(naive.add_product(a.T.copy().reshape(30), 1, 5, 0, 1, b, c), c + a @ b)
    naive.assert_close(naive.add_product_transposed(a, b.T.copy(), c), c + a @ b)
