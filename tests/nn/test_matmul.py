"""The products that layers are written in, against NumPy, on both sides of each choice that they make."""

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import dtypes

from numasync.nn.products.matmul import (
    MANY_INPUTS,
    add_columns_matmul_tn,
    add_matmul,
    add_matmul_tn,
    add_row_matmul,
    add_rows,
    fill,
    fill_rows,
    matmul_nt,
    matmul_nt_work,
)
from numasync.runtime.vectors import LANES

sizes = pytest.mark.parametrize("inputs, units", [(1, 1), (9, 5), (33, 2 * LANES), (MANY_INPUTS, 7), (300, LANES)])
counts = pytest.mark.parametrize("rows", [1, 2, 5])


def operands(dtype, rows, inputs, units):
    """x, with zeros as a relu leaves them, W and dy."""
    draw = drawer(dtype, seed=rows)
    x = np.maximum(draw(rows, inputs), 0)
    x[:, inputs // 3 : inputs // 2] = 0
    return x, draw(inputs, units), draw(rows, units)


@dtypes
@sizes
@counts
def test_add_matmul(dtype, rows, inputs, units):
    x, weight, y = operands(dtype, rows, inputs, units)
    expected = y + x @ weight
    add_matmul(y, x, weight)
    assert_close(y, expected)


@dtypes
@sizes
def test_add_row_matmul(dtype, inputs, units):
    x, weight, y = operands(dtype, 1, inputs, units)
    expected = y[0] + x[0] @ weight
    add_row_matmul(y[0], x[0], weight)
    assert_close(y[0], expected)


@dtypes
@sizes
@counts
def test_add_matmul_tn(dtype, rows, inputs, units):
    x, dweight, dy = operands(dtype, rows, inputs, units)
    expected = dweight + x.T @ dy
    add_matmul_tn(dweight, x, dy)
    assert_close(dweight, expected)


@dtypes
@sizes
@counts
def test_add_columns_matmul_tn(dtype, rows, inputs, units):
    x, dweight, dy = operands(dtype, rows, inputs, units)
    wide = np.hstack([x, np.full((rows, 3), np.nan, dtype)])
    expected = dweight + x.T @ dy
    add_columns_matmul_tn(dweight, wide, dy)
    assert_close(dweight, expected)


@dtypes
@sizes
@counts
@pytest.mark.parametrize("x_is_relu", [False, True])
def test_matmul_nt(dtype, rows, inputs, units, x_is_relu):
    x, weight, dy = operands(dtype, rows, inputs, units)
    dx, work = np.full_like(x, np.nan), np.full(matmul_nt_work(inputs, units), np.nan, dtype)
    matmul_nt(dx, dy, weight, work, x, x_is_relu)
    expected = dy @ weight.T
    needed = (x > 0) | (not x_is_relu)
    assert_close(dx[needed], expected[needed])
    assert np.isfinite(dx).all()


@dtypes
@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_add_rows(dtype, n):
    rows, total = drawer(dtype)(n, 3), drawer(dtype, 3)(3)
    expected = total + rows.sum(axis=0)
    add_rows(total, rows)
    assert_close(total, expected)


@dtypes
def test_fill(dtype):
    rows, row = np.full((3, 4), np.nan, dtype), drawer(dtype)(4)
    fill_rows(rows, row)
    np.testing.assert_array_equal(rows, [row] * 3)
    fill(rows, dtype(0))
    np.testing.assert_array_equal(rows, np.zeros((3, 4)))
