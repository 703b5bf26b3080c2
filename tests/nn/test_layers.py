"""Every layer, forward and backward: against its reference, and in float64 against central differences."""

import numpy as np
import pytest
from support.numerics import assert_close, drawer, slope
from support.products import dtypes

from numasync.nn import reference
from numasync.nn.layers.concat import concat_backward, concat_forward
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.layers.dense import dense_backward, dense_forward
from numasync.nn.layers.lstm import lstm_backward, lstm_forward
from numasync.nn.layers.relu import relu_backward, relu_forward
from numasync.nn.products.conv_products import patches_matmul_nt_work
from numasync.nn.products.matmul import matmul_nt_work
from numasync.runtime.jit import DISABLED
from numasync.runtime.vectors import LANES

RELATIVE = 1e-6
# Convolution and dense are linear in each argument, so a central difference has no truncation error at any step.
EPS = 1e-2

# (rows, inputs, units)
DENSE = [(1, 1, 1), (1, 9, 5), (3, 4, 8), (6, 7, 3), (5, 21, 16), (4, 33, 37), (1, 300, 130), (4, 300, 37)]

# (rows, image, kernel, stride, filters): images that are not square, strides that do not divide, strides beyond the
# kernel, and a kernel as large as its image
CONV = [
    (1, (6, 7, 3), 1, 1, 5),
    (2, (5, 6, 2), 1, 2, 4),
    (3, (7, 6, 2), 3, 1, 4),
    (2, (9, 8, 1), 3, 2, 3),
    (1, (11, 9, 2), 3, 4, 7),
    (2, (10, 9, 3), 4, 2, 5),
    (2, (12, 11, 2), 4, 3, 1),
    (1, (8, 8, 1), 8, 1, 2),
    (2, (18, 14, 4), 8, 4, 6),
    (2, (9, 12, 16), 4, 2, 32),
    (2, (30, 27, 1), 4, 2, 3),  # 168 patches, and 102 in a row: more than are summed at once
    (1, (5, 205, 1), 3, 2, 2),
    # Kernels two and three strides wide, whose patches share what is loaded: the paper's, MinAtar's, and with a rest
    (1, (84, 84, 4), 8, 4, 16),
    (2, (20, 20, 16), 4, 2, 32),
    (2, (10, 10, 4), 3, 1, 16),
    (1, (9, 21, 2), 6, 2, 37),
]

# (rows, inputs, units, the rows where an episode begins)
LSTM = [(1, 1, 1, ()), (1, 300, 4, (0,)), (4, 3, 5, ()), (5, 7, 16, (2,)), (6, 9, 3, (0, 3, 4)), (3, 33, 37, (1,))]

dense_sizes = pytest.mark.parametrize("rows, inputs, units", DENSE)
lstm_sizes = pytest.mark.parametrize("rows, inputs, units, begins", LSTM)
conv_sizes = pytest.mark.parametrize("rows, image, kernel_size, stride, filters", CONV)


def nothing(*shape, dtype):
    """An array that a kernel must overwrite: a NaN that is left, or added to, shows."""
    return np.full(shape, np.nan, dtype)


def dense_work(weight):
    """Work space of a backward, not an element more than it needs; a NaN that is read shows."""
    return nothing(matmul_nt_work(*weight.shape), dtype=weight.dtype)


def conv_work(image, kernel_size, filters, dtype):
    return nothing(patches_matmul_nt_work(kernel_size, image[2], filters), dtype=dtype)


def conv_arrays(draw, rows, image, kernel_size, stride, filters):
    """x, weight, bias and dy in the kernels' flat shapes, and the shapes of the reference's x, weight and y."""
    height, width = ((n - kernel_size) // stride + 1 for n in image[:2])
    shapes = (rows, *image), (kernel_size, kernel_size, image[2], filters), (rows, height, width, filters)
    x, weight, dy = (draw(*shape) for shape in shapes)
    return x.reshape(rows, -1), weight.reshape(-1, filters), draw(filters), dy.reshape(rows, -1), shapes


@dtypes
@dense_sizes
def test_dense(dtype, rows, inputs, units):
    draw = drawer(dtype)
    x, weight, bias, dy = draw(rows, inputs), draw(inputs, units), draw(units), draw(rows, units)
    y, dx = nothing(rows, units, dtype=dtype), nothing(rows, inputs, dtype=dtype)
    dense_forward(y, x, weight, bias)
    assert_close(y, reference.dense(x, weight, bias))

    before, before_bias = draw(inputs, units), draw(units)
    dweight, dbias = before.copy(), before_bias.copy()
    dense_backward(dx, dweight, dbias, dy, x, weight, dense_work(weight), True, False)
    expected_dx, added, added_bias = reference.dense_backward(dy, x, weight)
    assert_close(dweight, before + added)
    assert_close(dbias, before_bias + added_bias)
    assert_close(dx, expected_dx)

    again, again_bias, no_dx = before.copy(), before_bias.copy(), nothing(rows, inputs, dtype=dtype)
    dense_backward(no_dx, again, again_bias, dy, x, weight, nothing(0, dtype=dtype), False, False)
    np.testing.assert_array_equal(again, dweight)
    np.testing.assert_array_equal(again_bias, dbias)
    assert np.isnan(no_dx).all()


@dtypes
@pytest.mark.parametrize("rows, inputs, units", [(3, 300, 20), (5, 300, 32), (9, 261, 64), (1, 70, 16)])
def test_dense_behind_a_relu(dtype, rows, inputs, units):
    draw = drawer(dtype)
    x, weight, dy = np.maximum(draw(rows, inputs), 0), draw(inputs, units), draw(rows, units)
    x[:, 16:64] = 0
    before, dbias, dx = draw(inputs, units), np.zeros(units, dtype), nothing(rows, inputs, dtype=dtype)
    dweight = before.copy()
    dense_backward(dx, dweight, dbias, dy, x, weight, dense_work(weight), True, True)
    expected_dx, added, _ = reference.dense_backward(dy, x, weight)
    assert_close(dweight, before + added)
    assert_close(dx[x > 0], expected_dx[x > 0])
    assert np.isfinite(dx).all()
    if units % LANES == 0 and not DISABLED:
        assert not dx[:, 16:64].any(), "it was computed for nothing"


@dtypes
@conv_sizes
def test_conv(dtype, rows, image, kernel_size, stride, filters):
    draw = drawer(dtype)
    x, weight, bias, dy, shapes = conv_arrays(draw, rows, image, kernel_size, stride, filters)
    images, kernels, dimages = x.reshape(shapes[0]), weight.reshape(shapes[1]), dy.reshape(shapes[2])
    y, dx = nothing(*dy.shape, dtype=dtype), nothing(*x.shape, dtype=dtype)
    conv_forward(y, x, weight, bias, image, kernel_size, stride)
    assert_close(y, reference.conv(images, kernels, bias, stride).reshape(dy.shape))

    before, before_bias = draw(*weight.shape), draw(filters)
    dweight, dbias = before.copy(), before_bias.copy()
    work = conv_work(image, kernel_size, filters, dtype)
    conv_backward(dx, dweight, dbias, dy, x, weight, work, image, kernel_size, stride, True)
    expected_dx, added, added_bias = reference.conv_backward(dimages, images, kernels, stride)
    assert_close(dweight, before + added.reshape(weight.shape))
    assert_close(dbias, before_bias + added_bias)
    assert_close(dx, expected_dx.reshape(x.shape))

    again, again_bias, no_dx = before.copy(), before_bias.copy(), nothing(*x.shape, dtype=dtype)
    no_work = nothing(0, dtype=dtype)
    conv_backward(no_dx, again, again_bias, dy, x, weight, no_work, image, kernel_size, stride, False)
    np.testing.assert_array_equal(again, dweight)
    np.testing.assert_array_equal(again_bias, dbias)
    assert np.isnan(no_dx).all()


def test_conv_by_hand():
    x = np.arange(9, dtype=np.float32).reshape(1, 9)  # a 3 x 3 image of one channel, rows 012, 345, 678
    weight = np.array([[1], [10], [100], [1000]], np.float32)  # (ky, kx) = 00, 01, 10, 11
    y = np.empty((1, 4), np.float32)
    conv_forward(y, x, weight, np.array([0.5], np.float32), (3, 3, 1), 2, 1)
    np.testing.assert_array_equal(y, [[4310.5, 5421.5, 7643.5, 8754.5]])


class Lstm:
    """A layer of LSTM cells over a segment in which episodes begin, played as the loop plays.

    Between one episode and the next the state is cleared. Where none begins at row 0, the segment goes on from a state
    of random numbers.
    """

    def __init__(self, dtype, rows, inputs, units, begins):
        draw = drawer(dtype)
        # Sums of about 1: a gate that is all but shut has no gradient to compare.
        self.x, self.bias = draw(rows, inputs), draw(4 * units)
        self.weight = draw(inputs + units, 4 * units) / dtype(np.sqrt(inputs + units))
        self.dy, self.begins, self.units = draw(rows, units), begins, units
        self.state = np.zeros(1 + 2 * units, dtype) if 0 in begins else np.tanh(draw(1 + 2 * units))
        self.dweight, self.dbias = draw(*self.weight.shape), draw(4 * units)

    def forward(self, x, weight, bias):
        rows, dtype = len(x), x.dtype
        self.states = nothing(rows + 1, 1 + 2 * self.units, dtype=dtype)
        self.gates, y = nothing(rows, 4 * self.units, dtype=dtype), nothing(*self.dy.shape, dtype=dtype)
        self.states[0] = self.state
        edges = sorted({0, *self.begins, rows})
        for first, last in zip(edges, edges[1:]):
            if first in self.begins:
                self.states[first] = 0
            part = slice(first, last)
            lstm_forward(y[part], self.states[first : last + 1], self.gates[part], x[part], weight, bias)
        return y

    def backward(self, needs_dx=True):
        dx = nothing(*self.x.shape, dtype=self.x.dtype)
        dstates, dgates = (nothing(*array.shape, dtype=array.dtype) for array in (self.states, self.gates))
        work = dense_work(self.weight[: self.x.shape[1]]) if needs_dx else nothing(0, dtype=self.x.dtype)
        written = (dx, self.dweight, self.dbias, dstates, dgates)
        lstm_backward(*written, self.dy, self.x, self.states, self.gates, self.weight, work, needs_dx, False)
        return dx

    def reference(self):
        """y, states and gates of the reference."""
        return reference.lstm(self.x, self.weight, self.bias, self.begins, self.state[1:].reshape(2, self.units))


@dtypes
@lstm_sizes
def test_lstm(dtype, rows, inputs, units, begins):
    layer = Lstm(dtype, rows, inputs, units, begins)
    y, states, gates = layer.reference()
    assert_close(layer.forward(layer.x, layer.weight, layer.bias), y)
    assert_close(layer.gates, gates.reshape(rows, -1))
    assert_close(layer.states[:-1, 1:], states.reshape(rows, -1))

    before, before_bias = layer.dweight.copy(), layer.dbias.copy()
    dx = layer.backward()
    expected_dx, added, added_bias = reference.lstm_backward(layer.dy, layer.x, states, gates, layer.weight, begins)
    assert_close(layer.dweight, before + added)
    assert_close(layer.dbias, before_bias + added_bias)
    assert_close(dx, expected_dx)

    after, after_bias = layer.dweight.copy(), layer.dbias.copy()
    layer.dweight[:], layer.dbias[:] = before, before_bias
    assert np.isnan(layer.backward(needs_dx=False)).all()
    np.testing.assert_array_equal(layer.dweight, after)
    np.testing.assert_array_equal(layer.dbias, after_bias)


def test_lstm_by_hand():
    # One cell, no weights but biases: i = 1/2, f = 3/4, o = 1/4, u = 3/5; from c = 4/5, c' = 3/5 + 3/10 = 9/10.
    bias = np.array([0, np.log(3), -np.log(3), np.arctanh(0.6)])
    states, gates, y = np.array([[1, 0.5, 0.8], [0, 0, 0]]), np.zeros((1, 4)), np.zeros((1, 1))
    lstm_forward(y, states, gates, np.ones((1, 1)), np.zeros((2, 4)), bias)
    np.testing.assert_allclose(gates, [[0.5, 0.75, 0.25, 0.6]])
    np.testing.assert_allclose(y, [[0.25 * np.tanh(0.9)]])
    np.testing.assert_allclose(states[1], [1, y[0, 0], 0.9])


@pytest.mark.parametrize("sum_of_gate", [-200.0, 200.0])
def test_lstm_saturates(sum_of_gate):
    bias = np.full(4, sum_of_gate, np.float32)
    states, gates, y = np.zeros((2, 3), np.float32), np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32)
    lstm_forward(y, states, gates, np.zeros((1, 1), np.float32), np.zeros((2, 4), np.float32), bias)
    on = float(sum_of_gate > 0)
    np.testing.assert_array_equal(gates, [[on, on, on, np.sign(sum_of_gate)]])


@dtypes
def test_relu(dtype):
    z, dy = drawer(dtype)(3, 11), drawer(dtype, 3)(3, 11)
    z[0, 0] = 0
    y, dz = z.copy(), dy.copy()
    relu_forward(y)
    np.testing.assert_array_equal(y, reference.relu(z))
    relu_backward(dz, y)
    np.testing.assert_array_equal(dz, reference.relu_backward(dy, reference.relu(z)))
    assert dz[0, 0] == 0  # the derivative at the kink


@pytest.mark.parametrize("size", [1, 64])
def test_relu_keeps_nan(size):
    y = np.full((1, size), np.nan, np.float32)  # a diverged network must be seen, not turned into zeros
    relu_forward(y)
    assert np.isnan(y).all()


@dtypes
def test_relu_of_infinity(dtype):
    y = np.array([[-np.inf, np.finfo(dtype).min, np.inf, np.finfo(dtype).max]])
    relu_forward(y := y.astype(dtype))
    np.testing.assert_array_equal(y, [[0, 0, np.inf, np.finfo(dtype).max]])


@dtypes
@pytest.mark.parametrize("m, n", [(1, 1), (3, 5), (16, 1)])
def test_concat(dtype, m, n):
    draw = drawer(dtype)
    first, second, dy = draw(4, m), draw(4, n), draw(4, m + n)
    y, dfirst, dsecond = (nothing(4, columns, dtype=dtype) for columns in (m + n, m, n))
    concat_forward(y, first, second)
    np.testing.assert_array_equal(y, reference.concat(first, second))
    concat_backward(dfirst, dsecond, dy)
    for actual, expected in zip((dfirst, dsecond), reference.concat_backward(dy, m)):
        np.testing.assert_array_equal(actual, expected)


def check_slopes(function, arguments, gradients, eps=EPS):
    """The gradient of a scalar function by each of its arguments, projected on a random direction.

    One dot product tests every element of the gradient at once.
    """
    for i, (argument, gradient) in enumerate(zip(arguments, gradients)):
        direction = drawer(np.float64, 4 + i)(*argument.shape)
        expected = slope(lambda a: function(*arguments[:i], a, *arguments[i + 1 :]), argument, direction, eps)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=RELATIVE, abs=0)


@dense_sizes
def test_gradient_of_dense(rows, inputs, units):
    draw = drawer(np.float64)
    x, weight, bias, dy = draw(rows, inputs), draw(inputs, units), draw(units), draw(rows, units)

    def projected(x, weight, bias):
        y = np.empty_like(dy)
        dense_forward(y, x, weight, bias)
        return np.sum(y * dy)

    dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros_like(bias)
    dense_backward(dx, dweight, dbias, dy, x, weight, dense_work(weight), True, False)
    check_slopes(projected, (x, weight, bias), (dx, dweight, dbias))


@conv_sizes
def test_gradient_of_conv(rows, image, kernel_size, stride, filters):
    x, weight, bias, dy, _ = conv_arrays(drawer(np.float64), rows, image, kernel_size, stride, filters)

    def projected(x, weight, bias):
        y = np.empty_like(dy)
        conv_forward(y, x, weight, bias, image, kernel_size, stride)
        return np.sum(y * dy)

    dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros_like(bias)
    work = conv_work(image, kernel_size, filters, np.float64)
    conv_backward(dx, dweight, dbias, dy, x, weight, work, image, kernel_size, stride, True)
    check_slopes(projected, (x, weight, bias), (dx, dweight, dbias))


@lstm_sizes
def test_gradient_of_lstm(rows, inputs, units, begins):
    layer = Lstm(np.float64, rows, inputs, units, begins)
    arguments = (layer.x, layer.weight, layer.bias)
    layer.forward(*arguments)
    layer.dweight[:], layer.dbias[:] = 0, 0
    dx = layer.backward()

    def projected(*arguments):
        return np.sum(layer.forward(*arguments) * layer.dy)

    check_slopes(projected, arguments, (dx, layer.dweight, layer.dbias), 1e-6)


def test_gradient_of_relu():
    z, dy = drawer(np.float64)(4, 25), drawer(np.float64, 3)(4, 25)
    eps = 1e-4
    assert np.abs(z).min() > 10 * eps  # no element crosses the kink

    def projected(z):
        y = z.copy()
        relu_forward(y)
        return np.sum(y * dy)

    y, dz = z.copy(), dy.copy()
    relu_forward(y)
    relu_backward(dz, y)
    check_slopes(projected, (z,), (dz,), eps)
