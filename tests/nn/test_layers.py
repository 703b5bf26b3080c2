"""Every layer, forward and backward: against its twin, and in float64 against central differences."""

from support import naive
import numpy as np
import pytest

from numasync.nn.layers.all_layers import (
    add_rows,
    dense_backward,
    dense_forward,
    lstm_backward,
    lstm_forward,
    relu_backward,
    relu_forward,
)
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.products.codegen import LANES

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

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
dense_sizes = pytest.mark.parametrize("rows, inputs, units", DENSE)
lstm_sizes = pytest.mark.parametrize("rows, inputs, units, begins", LSTM)
conv_sizes = pytest.mark.parametrize("rows, image, kernel_size, stride, filters", CONV)


def drawer(dtype, seed=2):
    generator = np.random.default_rng(seed)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def work(weight, kernel_size=1):
    """Work space of a backward, not an element more than it needs; a NaN that is read shows."""
    return np.full(weight.size // kernel_size, np.nan, weight.dtype)


def nothing(*shape, dtype):
    """An array that a kernel must overwrite: a NaN that is left, or added to, shows."""
    return np.full(shape, np.nan, dtype)


def conv_arrays(draw, rows, image, kernel_size, stride, filters):
    """x, weight, bias and dy in the kernels' flat shapes, and the shapes of the twin's x, weight and y."""
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
    dense_forward(x, weight, bias, y)
    naive.assert_close(y, naive.dense(x, weight, bias))

    before, before_bias = draw(inputs, units), draw(units)
    dweight, dbias = before.copy(), before_bias.copy()
    dense_backward(x, weight, dy, dweight, dbias, dx, work(weight), False)
    added, added_bias, expected_dx = naive.dense_backward(x, weight, dy)
    naive.assert_close(dweight, before + added)
    naive.assert_close(dbias, before_bias + added_bias)
    naive.assert_close(dx, expected_dx)

    again, again_bias = before.copy(), before_bias.copy()
    dense_backward(x, weight, dy, again, again_bias, np.empty((rows, 0), dtype), np.empty(0, dtype), False)
    np.testing.assert_array_equal(again, dweight)
    np.testing.assert_array_equal(again_bias, dbias)


@dtypes
@pytest.mark.parametrize("rows, inputs, units", [(3, 300, 20), (5, 300, 32), (9, 261, 64), (1, 70, 16)])
def test_dense_behind_a_relu(dtype, rows, inputs, units):
    draw = drawer(dtype)
    x, weight, dy = np.maximum(draw(rows, inputs), 0), draw(inputs, units), draw(rows, units)
    x[:, 16:64] = 0
    before, dbias, dx = draw(inputs, units), np.zeros(units, dtype), nothing(rows, inputs, dtype=dtype)
    dweight = before.copy()
    dense_backward(x, weight, dy, dweight, dbias, dx, work(weight), True)
    added, _, expected_dx = naive.dense_backward(x, weight, dy)
    naive.assert_close(dweight, before + added)
    naive.assert_close(dx[x > 0], expected_dx[x > 0])
    assert np.isfinite(dx).all()
    if units % LANES == 0:
        assert not dx[:, 16:64].any(), "it was computed for nothing"


@dtypes
@conv_sizes
def test_conv(dtype, rows, image, kernel_size, stride, filters):
    draw = drawer(dtype)
    x, weight, bias, dy, shapes = conv_arrays(draw, rows, image, kernel_size, stride, filters)
    images, kernels, dimages = x.reshape(shapes[0]), weight.reshape(shapes[1]), dy.reshape(shapes[2])
    y, dx = nothing(*dy.shape, dtype=dtype), nothing(*x.shape, dtype=dtype)
    conv_forward(x, image, kernel_size, stride, weight, bias, y)
    naive.assert_close(y, naive.conv(images, kernels, bias, stride).reshape(dy.shape))

    before, before_bias = draw(*weight.shape), draw(filters)
    dweight, dbias = before.copy(), before_bias.copy()
    conv_backward(x, image, kernel_size, stride, weight, dy, dweight, dbias, dx, work(weight, kernel_size))
    added, added_bias, expected_dx = naive.conv_backward(images, kernels, dimages, stride)
    naive.assert_close(dweight, before + added.reshape(weight.shape))
    naive.assert_close(dbias, before_bias + added_bias)
    naive.assert_close(dx, expected_dx.reshape(x.shape))

    again, again_bias = before.copy(), before_bias.copy()
    no_dx = np.empty((rows, 0), dtype)
    conv_backward(x, image, kernel_size, stride, weight, dy, again, again_bias, no_dx, np.empty(0, dtype))
    np.testing.assert_array_equal(again, dweight)
    np.testing.assert_array_equal(again_bias, dbias)


def test_conv_by_hand():
    x = np.arange(9, dtype=np.float32).reshape(1, 9)  # a 3 x 3 image of one channel, rows 012, 345, 678
    weight = np.array([[1], [10], [100], [1000]], np.float32)  # (ky, kx) = 00, 01, 10, 11
    y = np.empty((1, 4), np.float32)
    conv_forward(x, (3, 3, 1), 2, 1, weight, np.array([0.5], np.float32), y)
    np.testing.assert_array_equal(y, [[4310.5, 5421.5, 7643.5, 8754.5]])


class Lstm:
    """A layer of LSTM cells over a segment in which episodes begin, played as the loop plays: between one episode and
    the next the state is cleared. Without one at row 0, the segment goes on from a state of random numbers."""

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
            lstm_forward(x[part], weight, bias, self.states[first : last + 1], self.gates[part], y[part])
        return y

    def backward(self, with_dx=True):
        dx = nothing(len(self.x), self.x.shape[1] if with_dx else 0, dtype=self.x.dtype)
        dstates, dgates = (nothing(*array.shape, dtype=array.dtype) for array in (self.states, self.gates))
        space = work(self.weight[: self.x.shape[1]]) if with_dx else np.empty(0, self.x.dtype)
        arrays = (self.x, self.weight, self.states, self.gates, self.dy, self.dweight, self.dbias)
        lstm_backward(*arrays, dstates, dgates, dx, space, False)
        return dx

    def twin(self):
        h, c = self.state[1 : 1 + self.units], self.state[1 + self.units :]
        return naive.lstm(self.x, self.weight, self.bias, self.begins, h, c)


@dtypes
@lstm_sizes
def test_lstm(dtype, rows, inputs, units, begins):
    layer = Lstm(dtype, rows, inputs, units, begins)
    y, kept = layer.twin()
    naive.assert_close(layer.forward(layer.x, layer.weight, layer.bias), y)

    before, before_bias = layer.dweight.copy(), layer.dbias.copy()
    dx = layer.backward()
    added, added_bias, expected_dx = naive.lstm_backward(kept, layer.weight, layer.dy, begins)
    naive.assert_close(layer.dweight, before + added)
    naive.assert_close(layer.dbias, before_bias + added_bias)
    naive.assert_close(dx, expected_dx)

    after, after_bias = layer.dweight.copy(), layer.dbias.copy()
    layer.dweight[:], layer.dbias[:] = before, before_bias
    layer.backward(with_dx=False)
    np.testing.assert_array_equal(layer.dweight, after)
    np.testing.assert_array_equal(layer.dbias, after_bias)


def test_lstm_by_hand():
    # One cell, no weights but biases: i = 1/2, f = 3/4, o = 1/4, u = 3/5; from c = 4/5, c' = 3/5 + 3/10 = 9/10.
    bias = np.array([0, np.log(3), -np.log(3), np.arctanh(0.6)])
    states, gates, y = np.array([[1, 0.5, 0.8], [0, 0, 0]]), np.zeros((1, 4)), np.zeros((1, 1))
    lstm_forward(np.ones((1, 1)), np.zeros((2, 4)), bias, states, gates, y)
    np.testing.assert_allclose(gates, [[0.5, 0.75, 0.25, 0.6]])
    np.testing.assert_allclose(y, [[0.25 * np.tanh(0.9)]])
    np.testing.assert_allclose(states[1], [1, y[0, 0], 0.9])


@pytest.mark.parametrize("sum_of_gate", [-200.0, 200.0])
def test_lstm_saturates(sum_of_gate):
    bias = np.full(4, sum_of_gate, np.float32)
    states, gates, y = np.zeros((2, 3), np.float32), np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32)
    lstm_forward(np.zeros((1, 1), np.float32), np.zeros((2, 4), np.float32), bias, states, gates, y)
    on = float(sum_of_gate > 0)
    np.testing.assert_array_equal(gates, [[on, on, on, np.sign(sum_of_gate)]])


@dtypes
def test_relu(dtype):
    z, dy = drawer(dtype)(3, 11), drawer(dtype, 3)(3, 11)
    z[0, 0] = 0
    y, dz = z.copy(), dy.copy()
    relu_forward(y)
    np.testing.assert_array_equal(y, naive.relu(z))
    relu_backward(y, dz)
    np.testing.assert_array_equal(dz, naive.relu_backward(naive.relu(z), dy))
    assert dz[0, 0] == 0  # the derivative at the kink


@pytest.mark.parametrize("size", [1, 64])
def test_relu_keeps_nan(size):
    y = np.full((1, size), np.nan, np.float32)  # a diverged network must be seen, not turned into zeros
    relu_forward(y)
    assert np.isnan(y).all()


@dtypes
@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_add_rows(dtype, n):
    rows, total = drawer(dtype)(n, 3), drawer(dtype, 3)(3)
    expected = naive.add_rows(rows, total)
    add_rows(rows, total)
    naive.assert_close(total, expected)


def check_slopes(function, arguments, gradients, eps=EPS):
    """The gradient of a scalar function by each of its arguments, projected on a random direction.

    One dot product tests every element of the gradient at once.
    """
    for i, (argument, gradient) in enumerate(zip(arguments, gradients)):
        direction = drawer(np.float64, 4 + i)(*argument.shape)
        expected = naive.slope(lambda a: function(*arguments[:i], a, *arguments[i + 1 :]), argument, direction, eps)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=RELATIVE, abs=0)


@dense_sizes
def test_gradient_of_dense(rows, inputs, units):
    draw = drawer(np.float64)
    x, weight, bias, dy = draw(rows, inputs), draw(inputs, units), draw(units), draw(rows, units)

    def projected(x, weight, bias):
        y = np.empty_like(dy)
        dense_forward(x, weight, bias, y)
        return np.sum(y * dy)

    dweight, dbias, dx = np.zeros_like(weight), np.zeros_like(bias), np.empty_like(x)
    dense_backward(x, weight, dy, dweight, dbias, dx, work(weight), False)
    check_slopes(projected, (x, weight, bias), (dx, dweight, dbias))


@conv_sizes
def test_gradient_of_conv(rows, image, kernel_size, stride, filters):
    x, weight, bias, dy, _ = conv_arrays(drawer(np.float64), rows, image, kernel_size, stride, filters)

    def projected(x, weight, bias):
        y = np.empty_like(dy)
        conv_forward(x, image, kernel_size, stride, weight, bias, y)
        return np.sum(y * dy)

    dweight, dbias, dx = np.zeros_like(weight), np.zeros_like(bias), np.empty_like(x)
    conv_backward(x, image, kernel_size, stride, weight, dy, dweight, dbias, dx, work(weight, kernel_size))
    check_slopes(projected, (x, weight, bias), (dx, dweight, dbias))


@lstm_sizes
def test_gradient_of_lstm(rows, inputs, units, begins):
    layer = Lstm(np.float64, rows, inputs, units, begins)
    arguments = (layer.x, layer.weight, layer.bias)
    layer.forward(*arguments)
    layer.dweight[:], layer.dbias[:] = 0, 0
    dx = layer.backward()
    projected = lambda *arguments: np.sum(layer.forward(*arguments) * layer.dy)
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
    relu_backward(y, dz)
    check_slopes(projected, (z,), (dz,), eps)
