"""The tiles of layers with a few units: against their reference versions, and the products against NumPy."""

import os

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import dtypes, fenced

from numasync.nn.products.gemm import add_narrow_product, add_narrow_product_tn, narrow_product_nt
from numasync.nn.products.narrow_tile import (
    MOST_UNITS,
    reference_narrow,
    reference_narrow_nt,
    reference_narrow_tn,
    tile_narrow,
    tile_narrow_nt,
    tile_narrow_tn,
)
from numasync.runtime.jit import kernel
from numasync.runtime.vectors import LANES


@kernel
def product(y, x, w):
    tile_narrow(y, x, w)


@kernel
def product_tn(dw, x, dy):
    tile_narrow_tn(dw, x, dy)


@kernel
def product_nt(dx, dy, w):
    tile_narrow_nt(dx, dy, w)


every_number_of_units = pytest.mark.parametrize("units", range(1, MOST_UNITS + 1))
# Fewer inputs than a group has, whole groups, and a rest.
some_inputs = pytest.mark.parametrize("inputs", [0, 1, LANES - 1, LANES, 2 * LANES + 3, 128])
some_rows = pytest.mark.parametrize("rows", [0, 1, 5])


def operands(dtype, rows, inputs, units):
    """x, w and y, and gradients of the same shapes. None is zero."""
    draw = drawer(dtype, seed=10 * rows + inputs)
    return [draw(*shape) for shape in 2 * [(rows, inputs), (inputs, units), (rows, units)]]


@pytest.mark.compiled
@dtypes
@every_number_of_units
@some_inputs
@some_rows
def test_tiles_do_what_their_reference_versions_say(dtype, rows, inputs, units):
    x, w, y, dx, dw, dy = operands(dtype, rows, inputs, units)
    for tile, reference, changed, *given in (
        (product, reference_narrow, y, x, w),
        (product_tn, reference_narrow_tn, dw, x, dy),
        (product_nt, reference_narrow_nt, dx, dy, w),
    ):
        expected = changed.copy()
        reference(expected, *given)
        tile(changed, *given)
        assert_close(changed, expected)


@dtypes
@every_number_of_units
@some_inputs
@some_rows
def test_products(dtype, rows, inputs, units):
    x, w, y, dx, dw, dy = operands(dtype, rows, inputs, units)
    expected = y + x @ w, dw + x.T @ dy, dy @ w.T
    add_narrow_product(y, x, w)
    add_narrow_product_tn(dw, x, dy)
    narrow_product_nt(dx, dy, w)
    for found, right in zip((y, dw, dx), expected, strict=True):
        assert_close(found, right)


@pytest.mark.skipif(os.name == "nt", reason="mprotect is POSIX")
@dtypes
@pytest.mark.parametrize("side", ["start", "end"])
@every_number_of_units
def test_products_stay_in_their_arrays(dtype, side, units):
    for rows, inputs in ((1, LANES), (3, 2 * LANES), (2, 2 * LANES + 1)):
        x, w, y, dx, dw, dy = (fenced(array, side) for array in operands(dtype, rows, inputs, units))
        expected = y + x @ w, dw + x.T @ dy, dy @ w.T
        add_narrow_product(y, x, w)
        add_narrow_product_tn(dw, x, dy)
        narrow_product_nt(dx, dy, w)
        for found, right in zip((y, dw, dx), expected, strict=True):
            assert_close(found, right)


@dtypes
def test_nan_and_infinity_are_kept(dtype):
    for bad in (np.nan, np.inf):
        x, w, y, dx, _, dy = operands(dtype, 2, 2 * LANES, 3)
        x[0, 3] = w[LANES + 2, 1] = bad
        add_narrow_product(y, x, w)
        narrow_product_nt(dx, dy, w)
        assert not np.isfinite(y[0]).any() and np.isfinite(y[1, [0, 2]]).all() and not np.isfinite(y[1, 1])
        assert not np.isfinite(dx[:, LANES + 2]).any() and np.isfinite(np.delete(dx, LANES + 2, axis=1)).all()
