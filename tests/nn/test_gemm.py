"""The matrix products against NumPy, over shapes that hit every tile and every remainder."""

import itertools
import os

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import LAYOUTS, dtypes, fenced, layouts, operand, strided_product

from numasync.nn.products.gemm import (
    add_product_nt,
    add_row_product,
    add_sparse_product_tn,
    add_strided_product,
    transpose,
)

# Columns: less than a vector, a vector and its neighbours, 2, 3, 4, 5, 7 and 8 vectors, and every panel plus the rest.
COLUMNS = [1, 2, 15, 16, 17, 32, 37, 48, 64, 80, 112, 128, 243]
columns = pytest.mark.parametrize("n", COLUMNS)
sides = pytest.mark.parametrize("side", ["start", "end"])
fences = pytest.mark.skipif(os.name == "nt", reason="mprotect is POSIX")


def multiply(c, a, b, strides):
    """add_strided_product on a matrix C."""
    add_strided_product(c.reshape(-1), a, b, len(c), strides, c.shape[1])


def multiply_nt(c, a, b):
    """add_product_nt without a mask."""
    add_product_nt(c, a, b, c, False)


def operands(dtype, layout, m, terms, n):
    """c, a, b and the strides of A. C is not zero."""
    draw = drawer(dtype, seed=m)
    strides = LAYOUTS[layout](m, terms)
    return draw(m, n), operand(draw, m, terms, strides), draw(strides[3] * terms, n), strides


@dtypes
@layouts
@columns
def test_add_strided_product(dtype, layout, n):
    for m in range(1, 22):
        c, *given = operands(dtype, layout, m, 1 + m % 5, n)
        expected = strided_product(c, *given)
        multiply(c, *given)
        assert_close(c, expected)


@dtypes
@pytest.mark.parametrize("m, terms, n", [(1, 300, 243), (6, 256, 36), (13, 257, 64), (20, 100, 48), (9, 700, 81)])
def test_add_strided_product_of_long_sums(dtype, m, terms, n):
    for layout in LAYOUTS:
        c, *given = operands(dtype, layout, m, terms, n)
        expected = strided_product(c, *given)
        multiply(c, *given)
        assert_close(c, expected)


@dtypes
@columns
def test_add_strided_product_to_columns_of_a_wider_matrix(dtype, n):
    for m in (1, 2, 5, 11):
        _, *given = operands(dtype, "plain", m, 9, n)
        wide = drawer(dtype)(m, n + 13)
        expected = wide.copy()
        expected[:, :n] = strided_product(wide[:, :n], *given)
        multiply(wide, *given)
        assert_close(wide, expected)
        np.testing.assert_array_equal(wide[:, n:], expected[:, n:])


@dtypes
@pytest.mark.parametrize("m, k, n", [(0, 3, 80), (3, 0, 80), (3, 4, 0), (0, 0, 0)])
def test_empty_products(dtype, m, k, n):
    draw = drawer(dtype)
    a, b, c = draw(m, k), draw(k, n), draw(m, n)
    expected = c.copy()
    multiply(c, a.reshape(a.size), b, (k, 1, 0, 1))
    np.testing.assert_array_equal(c, expected)

    a, b, c = draw(m, n), draw(k, n), draw(m, k)
    expected = c + a @ b.T
    multiply_nt(c, a, b)
    assert_close(c, expected)


# Terms of a dot product: whole vectors, which are tiled, and others, which are not.
@dtypes
@pytest.mark.parametrize("n", [1, 5, 15, 16, 17, 32, 80])
@pytest.mark.parametrize("k", [1, 3, 4, 15, 16, 17, 37, 48])
def test_add_product_nt(dtype, n, k):
    for m in (1, 2, 3, 4, 5, 8, 11):
        draw = drawer(dtype, seed=m)
        a, b, c = draw(m, n), draw(k, n), draw(m, k)
        expected = c + a @ b.T
        multiply_nt(c, a, b)
        assert_close(c, expected)


@dtypes
@pytest.mark.parametrize("m", [1, 3, 4, 9])
@pytest.mark.parametrize("share", [0, 0.02, 0.5])
def test_a_mask_says_which_products_are_needed(dtype, m, share):
    draw = drawer(dtype, seed=m)
    a, b, before = draw(m, 32), draw(53, 32), draw(m, 53)
    c = before.copy()
    mask = (np.random.default_rng(m).random((m, 53)) < share).astype(dtype)
    expected = before + a @ b.T
    add_product_nt(c, a, b, mask, True)
    assert_close(c[mask != 0], expected[mask != 0])
    assert_close(c, np.where(c == before, before, expected))
    if share == 0:
        np.testing.assert_array_equal(c[:, :48], before[:, :48])


@dtypes
@pytest.mark.parametrize("n", [*COLUMNS, 256, 400, 1030])
def test_add_row_product(dtype, n):
    for k in (0, 1, 15, 16, 40, 300):
        draw = drawer(dtype, seed=k)
        numbers, b, before = draw(k), draw(k, n), draw(n)
        for a in (numbers, np.maximum(numbers, 0)):  # without zeros, and with many
            c = before.copy()
            add_row_product(c, a, b)
            assert_close(c, before + a @ b)


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
def test_add_sparse_product_tn(dtype, zero, n):
    for k in (1, 2, 5, 20):
        for m in (1, 2, 30):
            a, b, c, empty = sparse_operands(dtype, zero, k, m, n)
            before, expected = c.copy(), c + a.T @ b
            add_sparse_product_tn(c, a, b)
            assert_close(c, expected)
            np.testing.assert_array_equal(c[empty], before[empty])


@dtypes
@pytest.mark.parametrize("k, m, n", [(0, 3, 17), (3, 0, 17), (3, 4, 0)])
def test_empty_sparse_products_tn(dtype, k, m, n):
    draw = drawer(dtype)
    a, b, c = draw(k, m), draw(k, n), draw(m, n)
    expected = c.copy()
    add_sparse_product_tn(c, a, b)
    np.testing.assert_array_equal(c, expected)


@dtypes
@pytest.mark.parametrize("k, n", [(1, 1), (3, 5), (64, 7), (0, 3)])
def test_transpose(dtype, k, n):
    b, out = drawer(dtype)(k, n), np.full((n, k), np.nan, dtype)
    transpose(out, b)
    np.testing.assert_array_equal(out, b.T)


@fences
@dtypes
@layouts
@sides
def test_add_strided_product_stays_in_its_arrays(dtype, layout, side):
    for n in COLUMNS:
        for m in (1, 2, 5, 8, 11):
            *given, strides = operands(dtype, layout, m, 3, n)
            expected = strided_product(*given, strides)
            c, a, b = (fenced(x, side) for x in given)
            multiply(c, a, b, strides)
            assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "patches" in name])
def test_add_strided_product_of_patches_stays_in_its_arrays(dtype, layout, side):
    for m, terms, n in itertools.product((8, 9, 10, 12, 24), (3, 6, 8), (16, 37)):
        *given, strides = operands(dtype, layout, m, terms, n)
        expected = strided_product(*given, strides)
        c, a, b = (fenced(x, side) for x in given)
        multiply(c, a, b, strides)
        assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("n", [17, 128, 243, 256])
def test_add_row_product_stays_in_its_arrays(dtype, side, n):
    draw = drawer(dtype)
    for k in (1, 16, 19):
        a, b, c = (fenced(x, side) for x in (draw(k), draw(k, n), draw(n)))
        expected = c + a @ b
        add_row_product(c, a, b)
        assert_close(c, expected)


@fences
@dtypes
@sides
@zero_columns
@pytest.mark.parametrize("n", [7, 16, 243])
def test_add_sparse_product_tn_stays_in_its_arrays(dtype, side, zero, n):
    for k, m in ((1, 1), (5, 30), (20, 19)):
        *given, _ = sparse_operands(dtype, zero, k, m, n)
        a, b, c = (fenced(x, side) for x in given)
        expected = c + a.T @ b
        add_sparse_product_tn(c, a, b)
        assert_close(c, expected)


@fences
@dtypes
@sides
@pytest.mark.parametrize("n", [1, 15, 16, 17, 48])
def test_add_product_nt_stays_in_its_arrays(dtype, side, n):
    draw = drawer(dtype)
    for k in (1, 15, 16, 19, 32):
        for m in (1, 3, 4, 7):
            a, b, c = (fenced(x, side) for x in (draw(m, n), draw(k, n), draw(m, k)))
            expected = c + a @ b.T
            multiply_nt(c, a, b)
            assert_close(c, expected)


def assert_same_with_nan_and_inf(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# A run that diverges must be seen: NaN, inf * 0 and inf - inf end as NaN, and in their own row or column alone.
SPOILED = [(np.nan,), (np.inf,), (-np.inf,), (np.inf, -np.inf)]
spoiled = pytest.mark.parametrize("values", SPOILED, ids=str)


@dtypes
@spoiled
@pytest.mark.parametrize("m", [1, 21])
def test_add_strided_product_keeps_nan_and_inf(dtype, values, m):
    n, k = COLUMNS[-1], 5
    draw = drawer(dtype)
    for i in range(m):
        a, b, c = draw(m, k), draw(k, n), draw(m, n)
        a[i, : len(values)] = values
        b[: len(values), ::3] = 0
        b[-len(values) :, i::17] = values[0]
        a[:, -len(values) :] = np.abs(a[:, -len(values) :])
        with np.errstate(invalid="ignore"):
            expected = c + np.einsum("ik,kj->ij", a, b)
            multiply(c, a.reshape(-1), b, (k, 1, 0, 1))
        assert_same_with_nan_and_inf(c, expected)
        assert not np.isfinite(expected[i]).any() and np.isfinite(expected).any() == (m > 1)


@dtypes
@spoiled
@pytest.mark.parametrize("n", [5, 16, 32])
def test_add_product_nt_keeps_nan_and_inf(dtype, values, n):
    draw = drawer(dtype)
    for i in range(7):
        a, b, c = draw(7, n), draw(19, n), draw(7, 19)
        a[i, : len(values)] = values
        b[::3, : len(values)] = 0
        b[3 * i, -1] = values[0]
        with np.errstate(invalid="ignore"):
            expected = c + np.einsum("ij,pj->ip", a, b)
            multiply_nt(c, a, b)
        assert_same_with_nan_and_inf(c, expected)
        assert not np.isfinite(expected[i]).any() and np.isfinite(expected).any()


@dtypes
def test_what_they_are_compared_with_is_the_matrix_product(dtype):
    draw = drawer(dtype)
    a, b, c = draw(5, 6), draw(6, 7), draw(5, 7)
    assert_close(strided_product(c, a.reshape(30), b, (6, 1, 0, 1)), c + a @ b)
    assert_close(strided_product(c, a.reshape(30), b, (6, 1, 2, 3)), c + a @ b)
    assert_close(strided_product(c, a.T.copy().reshape(30), b, (1, 5, 0, 1)), c + a @ b)
