"""The register tiles of a convolution against their twins in plain Python, and the twins against NumPy; and which of
them cover a layer. Whole layers: see test_layers.py."""

import functools
import os

from support import naive
import numpy as np
import pytest
from support.products import drawer, dtypes, fenced

from numasync.nn.layers import conv as convolution
from numasync.nn.layers.conv import cells_across, conv_backward, conv_forward, output_size, whole_tiles
from numasync.nn.products.codegen import LANES
from numasync.nn.products.conv_tile import (
    plain_convolution,
    plain_convolution_weights,
    tile_convolution,
    tile_convolution_weights,
)
from numasync.runtime.jit import DISABLED, kernel

CELLS = {2: convolution.DOWN_IN_TWOS, 3: convolution.DOWN_IN_THREES}
NUMBERS = {2: convolution.NUMBERS_IN_TWOS, 3: convolution.NUMBERS_IN_THREES}

# (across, down): those of the package on this processor, and on another.
cells = pytest.mark.parametrize("across, down", sorted({*CELLS.items(), (2, 1), (2, 2), (3, 1), (3, 3)}))
strides = pytest.mark.parametrize("stride, channels", [(1, 4), (2, 3), (4, 4)])
heights = pytest.mark.parametrize("out_height", [2, 3, 7])
compiled_only = pytest.mark.skipif(DISABLED, reason="without compilation a tile is its twin")


@functools.cache
def tile(rows, across, down):
    """The tile as a kernel; its sizes are literals there."""

    @kernel
    def run(x, at, geometry, w, bias, j, y, y_at, out):
        tile_convolution(rows, across, down, x, at, geometry, w, bias, j, y, y_at, out)

    return run


@functools.cache
def weights_tile(rows, across, down):
    @kernel
    def run(x, at, geometry, dy, dy_at, out, dw, dw_at):
        tile_convolution_weights(rows, across, down, x, at, geometry, dy, dy_at, out, dw, dw_at)

    return run


class Layer:
    """A convolution of one image, its arrays as the twins of naive.py take them, and flat."""

    def __init__(self, dtype, across, stride, channels, out_height, out_width, filters=LANES + 5):
        self.draw = drawer(dtype, seed=out_height)
        self.stride, self.kernel_size, self.step = stride, across * stride, stride * channels
        height, width = ((n - 1) * stride + self.kernel_size for n in (out_height, out_width))
        self.x, self.w = (
            self.draw(1, height, width, channels),
            self.draw(self.kernel_size, self.kernel_size, channels, filters),
        )
        self.bias, self.out = self.draw(filters), (out_height, out_width, filters)
        self.geometry = width * channels, self.step, stride, self.kernel_size
        self.y = self.draw(1, *self.out)

    def matrix(self):
        return self.w.reshape(-1, self.w.shape[-1])


def convolution_case(dtype, across, stride, channels, out_height, rows, at=3, j=4, ox=1):
    """The Layer, all arguments after the sizes of the tile, and what of Y it writes. What it must not read is NaN."""
    layer = Layer(dtype, across, stride, channels, out_height, ox + rows + 1)
    seen = (rows - 1 + across) * stride
    layer.x[:, :, : ox * stride] = layer.x[:, :, ox * stride + seen :] = np.nan
    layer.w[..., :j] = layer.w[..., j + LANES :] = layer.bias[:j] = layer.bias[j + LANES :] = np.nan
    x = np.concatenate([np.full(at, np.nan, dtype), layer.x.ravel()])
    inside = 0, slice(None), slice(ox, ox + rows), slice(j, j + LANES)
    y_at = ox * layer.out[2] + j
    return (
        layer,
        (x, at + ox * layer.step, layer.geometry, layer.matrix(), layer.bias, j, layer.y.reshape(-1), y_at, layer.out),
        inside,
    )


@dtypes
@cells
@strides
@heights
def test_twin_of_convolution(dtype, across, down, stride, channels, out_height):
    layer, given, inside = convolution_case(dtype, across, stride, channels, out_height, rows=3)
    expected = layer.y.copy()
    with np.errstate(invalid="ignore"):
        y = naive.conv(layer.x, layer.w, layer.bias, stride)
    expected[inside] = y[inside]
    plain_convolution(3, across, down, *given)
    naive.assert_close(layer.y, expected)


@compiled_only
@dtypes
@cells
@strides
@heights
@pytest.mark.parametrize("rows", [1, *convolution.PATCHES])
def test_convolution(dtype, across, down, stride, channels, out_height, rows):
    layer, given, _ = convolution_case(dtype, across, stride, channels, out_height, rows)
    *operands, _, y_at, out = given
    expected = layer.y.copy()
    plain_convolution(rows, across, down, *operands, expected.reshape(-1), y_at, out)
    tile(rows, across, down)(*given)
    naive.assert_close(layer.y, expected)


def weights_case(dtype, across, down, stride, channels, out_height, rows, ky=0, j=4, p=0):
    """The Layer, dW and all arguments after the sizes of the tile, and what of dW it writes. What it must not read is
    NaN."""
    layer = Layer(dtype, across, stride, channels, out_height, across + 2)
    filters = layer.out[2]
    x = np.full_like(layer.x, np.nan).reshape(layer.x.shape[1], -1)
    numbers = np.add.outer(np.arange(across + 1 + across) * layer.step, np.arange(p, p + rows)).ravel()
    lines = ky + stride * np.arange(out_height + down - 1)
    x[np.ix_(lines, numbers)] = layer.x.reshape(x.shape)[np.ix_(lines, numbers)]
    dy = layer.y.reshape(-1, filters)
    dy[:, :j] = dy[:, j + LANES :] = np.nan
    dw = layer.draw(layer.kernel_size, across * layer.step, filters)
    places = np.add.outer(np.arange(across) * layer.step, np.arange(p, p + rows)).ravel()
    inside = np.ix_(ky + stride * np.arange(down), places, np.arange(j, j + LANES))
    dw_at = (ky * across * layer.step + p) * filters + j
    given = (
        x.reshape(-1),
        ky * layer.geometry[0] + p,
        layer.geometry,
        dy.reshape(-1),
        j,
        layer.out,
        dw.reshape(-1),
        dw_at,
    )
    return layer, dw, given, inside


@dtypes
@cells
@strides
@heights
def test_twin_of_convolution_weights(dtype, across, down, stride, channels, out_height):
    layer, dw, given, inside = weights_case(
        dtype, across, down, stride, channels, out_height, rows=2, ky=stride - 1, p=1
    )
    expected = dw.copy()
    dy = np.where(np.isnan(layer.y), 0, layer.y)
    added, *_ = naive.conv_backward(layer.x, layer.w, dy, stride)
    expected[inside] += added.reshape(dw.shape)[inside]
    plain_convolution_weights(2, across, down, *given)
    naive.assert_close(dw, expected)


@compiled_only
@dtypes
@cells
@strides
@heights
@pytest.mark.parametrize("rows", sorted({1, convolution.FEWER_NUMBERS, *NUMBERS.values()}))
def test_convolution_weights(dtype, across, down, stride, channels, out_height, rows):
    rows = min(rows, stride * channels)
    _, dw, given, _ = weights_case(dtype, across, down, stride, channels, out_height, rows)
    *operands, _, dw_at = given
    expected = dw.copy()
    plain_convolution_weights(rows, across, down, *operands, expected.reshape(-1), dw_at)
    weights_tile(rows, across, down)(*given)
    naive.assert_close(dw, expected)


@pytest.mark.parametrize(
    "kernel_size, stride, out_width, across",
    [(8, 4, 20, 2), (4, 2, 9, 2), (3, 1, 8, 3), (6, 2, 5, 3), (4, 1, 9, 1), (4, 3, 9, 1), (1, 1, 9, 1), (4, 4, 9, 1)]
    + [(4, 2, 1, 1), (3, 1, 2, 1), (3, 1, 3, 3)],  # fewer patches than a tile takes for granted
)
def test_cells_across(kernel_size, stride, out_width, across):
    assert cells_across(kernel_size, stride, out_width) == across


def test_whole_tiles():
    assert [width for width in range(1, 28) if whole_tiles(width)] == [8, 9, 10, 16, 18, 20, 24, 27]


# (rows, image, kernel size, stride, filters): lines of 8, 9, 10 and 11 patches; cells of 1 to 16 numbers; filters that
# fill no vector, one, and two with a rest; more patches than a band of the weights' gradient holds, and one line of them.
LAYERS = [
    (2, (12 + kernel_size, stride * (width - 1) + kernel_size, channels), kernel_size, stride, filters)
    for across, stride, width, channels, filters in [
        (2, 1, 8, 1, LANES), (2, 2, 9, 1, 2 * LANES + 3), (2, 4, 10, 2, LANES), (2, 1, 11, 7, LANES),
        (2, 2, 20, 8, LANES + 1), (2, 1, 18, 16, LANES - 1),
        (3, 1, 8, 4, LANES), (3, 1, 8, 6, LANES), (3, 1, 8, 7, LANES), (3, 1, 8, 10, LANES), (3, 2, 10, 3, 2 * LANES),
        (3, 1, 11, 13, LANES), (3, 1, 3, 5, LANES),
    ]
    for kernel_size in [across * stride]
] + [(2, (2, 9, 4), 2, 1, LANES), (1, (8, 44, 4), 8, 4, LANES), (2, (3, 10, 4), 3, 1, LANES)]  # fmt: skip


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
    conv_forward(flat, image, kernel_size, stride, matrix, bias, y)
    naive.assert_close(y.reshape(out), naive.conv(x, weight, bias, stride))
    dout, no_dx = fenced(dy.reshape(rows, -1), side), np.empty((rows, 0), dtype)
    conv_backward(flat, image, kernel_size, stride, matrix, dout, dweight, np.zeros(filters, dtype), no_dx, no_dx[0])
    added, *_ = naive.conv_backward(x, weight, dy, stride)
    naive.assert_close(dweight.reshape(weight.shape), before + added)
