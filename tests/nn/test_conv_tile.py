"""The register tiles of a convolution against their reference versions in Python, and these against NumPy.

Which tiles cover a layer, and that a layer stays within its arrays. Whole layers: see test_layers.py.
"""

import functools
import os

import numpy as np
import pytest
from support.numerics import assert_close, drawer
from support.products import dtypes, fenced

from numasync.nn import reference
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.products import conv_products
from numasync.nn.products.conv_products import cells_of, fills_tiles, output_size, patches_matmul_nt_work
from numasync.nn.products.conv_tile import (
    reference_conv,
    reference_conv_weights,
    tile_conv,
    tile_conv_weights,
)
from numasync.runtime.jit import kernel
from numasync.runtime.vectors import LANES

CELLS_Y = {2: conv_products.CELLS_Y_2x2, 3: conv_products.CELLS_Y_3x3}
NUMBERS = {2: conv_products.NUMBERS_2x2, 3: conv_products.NUMBERS_3x3}

# (cells_x, cells_y): the package's on this processor, and on another.
cells = pytest.mark.parametrize("cells_x, cells_y", sorted({*CELLS_Y.items(), (2, 1), (2, 2), (3, 1), (3, 3)}))
strides = pytest.mark.parametrize("stride, channels", [(1, 4), (2, 3), (4, 4)])
heights = pytest.mark.parametrize("out_height", [2, 3, 7])
# Without compilation a tile is its reference version.
compiled = pytest.mark.compiled


@functools.cache
def tile(rows, cells_x, cells_y):
    """The tile as a kernel; its sizes are literals there."""

    @kernel
    def run(y, x, w, bias, y_at, x_at, j, geometry, out):
        tile_conv(y, x, w, bias, rows, cells_x, cells_y, y_at, x_at, j, geometry, out)

    return run


@functools.cache
def weights_tile(rows, cells_x, cells_y):
    @kernel
    def run(dw, x, dy, dw_at, x_at, dy_at, geometry, out):
        tile_conv_weights(dw, x, dy, rows, cells_x, cells_y, dw_at, x_at, dy_at, geometry, out)

    return run


class Layer:
    """A convolution of one image, its arrays as the reference of the layer takes them, and flat."""

    def __init__(self, dtype, cells_x, stride, channels, out_height, out_width, filters=LANES + 5):
        self.draw = drawer(dtype, seed=out_height)
        self.stride, self.kernel_size, self.step = stride, cells_x * stride, stride * channels
        height, width = ((n - 1) * stride + self.kernel_size for n in (out_height, out_width))
        self.x = self.draw(1, height, width, channels)
        self.w = self.draw(self.kernel_size, self.kernel_size, channels, filters)
        self.bias, self.out = self.draw(filters), (out_height, out_width, filters)
        self.geometry = width * channels, self.step, stride, self.kernel_size
        self.y = self.draw(1, *self.out)

    def matrix(self):
        return self.w.reshape(-1, self.w.shape[-1])


def conv_case(dtype, cells_x, stride, channels, out_height, rows, at=3, j=4, ox=1):
    """The Layer, x, the arguments after the sizes of the tile, and what of Y it writes.

    What it must not read is NaN.
    """
    layer = Layer(dtype, cells_x, stride, channels, out_height, ox + rows + 1)
    seen = (rows - 1 + cells_x) * stride
    layer.x[:, :, : ox * stride] = layer.x[:, :, ox * stride + seen :] = np.nan
    layer.w[..., :j] = layer.w[..., j + LANES :] = layer.bias[:j] = layer.bias[j + LANES :] = np.nan
    x = np.concatenate([np.full(at, np.nan, dtype), layer.x.ravel()])
    inside = 0, slice(None), slice(ox, ox + rows), slice(j, j + LANES)
    places = ox * layer.out[2] + j, at + ox * layer.step, j, layer.geometry, layer.out
    return layer, x, places, inside


@dtypes
@cells
@strides
@heights
def test_reference_of_conv(dtype, cells_x, cells_y, stride, channels, out_height):
    layer, x, places, inside = conv_case(dtype, cells_x, stride, channels, out_height, rows=3)
    expected = layer.y.copy()
    with np.errstate(invalid="ignore"):
        y = reference.conv(layer.x, layer.w, layer.bias, stride)
    expected[inside] = y[inside]
    reference_conv(layer.y.reshape(-1), x, layer.matrix(), layer.bias, 3, cells_x, cells_y, *places)
    assert_close(layer.y, expected)


@compiled
@dtypes
@cells
@strides
@heights
@pytest.mark.parametrize("rows", [1, *conv_products.PATCHES])
def test_conv_tile(dtype, cells_x, cells_y, stride, channels, out_height, rows):
    layer, x, places, _ = conv_case(dtype, cells_x, stride, channels, out_height, rows)
    expected = layer.y.copy()
    reference_conv(expected.reshape(-1), x, layer.matrix(), layer.bias, rows, cells_x, cells_y, *places)
    tile(rows, cells_x, cells_y)(layer.y.reshape(-1), x, layer.matrix(), layer.bias, *places)
    assert_close(layer.y, expected)


def weights_case(dtype, cells_x, cells_y, stride, channels, out_height, rows, ky=0, j=4, p=0):
    """The Layer, dW, x and dy, the arguments after the sizes of the tile, and what of dW it writes.

    What it must not read is NaN.
    """
    layer = Layer(dtype, cells_x, stride, channels, out_height, cells_x + 2)
    filters = layer.out[2]
    x = np.full_like(layer.x, np.nan).reshape(layer.x.shape[1], -1)
    numbers = np.add.outer(np.arange(cells_x + 1 + cells_x) * layer.step, np.arange(p, p + rows)).ravel()
    lines = ky + stride * np.arange(out_height + cells_y - 1)
    x[np.ix_(lines, numbers)] = layer.x.reshape(x.shape)[np.ix_(lines, numbers)]
    dy = layer.y.reshape(-1, filters)
    dy[:, :j] = dy[:, j + LANES :] = np.nan
    dw = layer.draw(layer.kernel_size, cells_x * layer.step, filters)
    columns = np.add.outer(np.arange(cells_x) * layer.step, np.arange(p, p + rows)).ravel()
    inside = np.ix_(ky + stride * np.arange(cells_y), columns, np.arange(j, j + LANES))
    dw_at = (ky * cells_x * layer.step + p) * filters + j
    places = dw_at, ky * layer.geometry[0] + p, j, layer.geometry, layer.out
    return layer, dw, (x.reshape(-1), dy.reshape(-1)), places, inside


@dtypes
@cells
@strides
@heights
def test_reference_of_conv_weights(dtype, cells_x, cells_y, stride, channels, out_height):
    layer, dw, operands, places, inside = weights_case(
        dtype, cells_x, cells_y, stride, channels, out_height, rows=2, ky=stride - 1, p=1
    )
    expected = dw.copy()
    dy = np.where(np.isnan(layer.y), 0, layer.y)
    _, added, _ = reference.conv_backward(dy, layer.x, layer.w, stride)
    expected[inside] += added.reshape(dw.shape)[inside]
    reference_conv_weights(dw.reshape(-1), *operands, 2, cells_x, cells_y, *places)
    assert_close(dw, expected)


@compiled
@dtypes
@cells
@strides
@heights
@pytest.mark.parametrize("rows", sorted({1, conv_products.FEWER_NUMBERS, *NUMBERS.values()}))
def test_conv_weights_tile(dtype, cells_x, cells_y, stride, channels, out_height, rows):
    rows = min(rows, stride * channels)
    _, dw, operands, places, _ = weights_case(dtype, cells_x, cells_y, stride, channels, out_height, rows)
    expected = dw.copy()
    reference_conv_weights(expected.reshape(-1), *operands, rows, cells_x, cells_y, *places)
    weights_tile(rows, cells_x, cells_y)(dw.reshape(-1), *operands, *places)
    assert_close(dw, expected)


@pytest.mark.parametrize(
    "kernel_size, stride, out_width, cells_x",
    [(8, 4, 20, 2), (4, 2, 9, 2), (3, 1, 8, 3), (6, 2, 5, 3), (4, 1, 9, 1), (4, 3, 9, 1), (1, 1, 9, 1), (4, 4, 9, 1)]
    + [(4, 2, 1, 1), (3, 1, 2, 1), (3, 1, 3, 3)],  # fewer patches than a tile takes for granted
)
def test_cells_of_a_patch(kernel_size, stride, out_width, cells_x):
    assert cells_of(kernel_size, stride, out_width) == cells_x


def test_which_lines_tiles_fill():
    assert [width for width in range(1, 28) if fills_tiles(width)] == [8, 9, 10, 16, 18, 20, 24, 27]


# (rows, image, kernel size, stride, filters): lines of 8, 9, 10 and 11 patches; cells of 1 to 16 numbers; filters that
# fill no vector, one, and two with a rest; more patches than a band of the weights' gradient holds, and one line.
LAYERS = [
    (2, (12 + cells_x * stride, stride * (width - 1) + cells_x * stride, channels), cells_x * stride, stride, filters)
    for cells_x, stride, width, channels, filters in [
        (2, 1, 8, 1, LANES),
        (2, 2, 9, 1, 2 * LANES + 3),
        (2, 4, 10, 2, LANES),
        (2, 1, 11, 7, LANES),
        (2, 2, 20, 8, LANES + 1),
        (2, 1, 18, 16, LANES - 1),
        (3, 1, 8, 4, LANES),
        (3, 1, 8, 6, LANES),
        (3, 1, 8, 7, LANES),
        (3, 1, 8, 10, LANES),
        (3, 2, 10, 3, 2 * LANES),
        (3, 1, 11, 13, LANES),
        (3, 1, 3, 5, LANES),
    ]
]
LAYERS += [(2, (2, 9, 4), 2, 1, LANES), (1, (8, 44, 4), 8, 4, LANES), (2, (3, 10, 4), 3, 1, LANES)]


@pytest.mark.skipif(os.name == "nt", reason="mprotect is POSIX")
@dtypes
@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("rows, image, kernel_size, stride, filters", LAYERS)
def test_a_layer_stays_within_its_arrays(dtype, side, rows, image, kernel_size, stride, filters):
    draw = drawer(dtype)
    out = rows, *output_size(image, kernel_size, stride), filters
    x, weight, dy = draw(rows, *image), draw(kernel_size, kernel_size, image[2], filters), draw(*out)
    bias, before = draw(filters), draw(*weight.shape)
    flat, matrix = fenced(x.reshape(rows, -1), side), fenced(weight.reshape(-1, filters), side)
    y, dweight = fenced(np.zeros_like(dy).reshape(rows, -1), side), fenced(before.reshape(-1, filters), side)
    conv_forward(y, flat, matrix, bias, image, kernel_size, stride)
    assert_close(y.reshape(out), reference.conv(x, weight, bias, stride))
    dout, dbias, dx = fenced(dy.reshape(rows, -1), side), np.zeros(filters, dtype), fenced(np.empty_like(flat), side)
    work = fenced(np.empty(patches_matmul_nt_work(kernel_size, image[2], filters), dtype), side)
    conv_backward(dx, dweight, dbias, dout, flat, matrix, work, image, kernel_size, stride, True)
    expected_dx, added, _ = reference.conv_backward(dy, x, weight, stride)
    assert_close(dweight.reshape(weight.shape), before + added)
    assert_close(dx.reshape(x.shape), expected_dx)
