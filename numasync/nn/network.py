"""A network is a table with one row a layer; one compiled pair of functions walks it for every network.

    network((84, 84, 4), conv(16, 8, stride=4), relu(), conv(32, 4, stride=2), relu(), dense(256), relu(), heads(4, 1))

All parameters are slices of one flat vector theta. The *tape* holds what a segment computed, layer by layer: layer l
owns the block (capacity, width) that begins at capacity * OUT_AT, where capacity is the number of rows of the
observations. Acting fills row t of every block; backward treats the rows of a segment as one batch.

An LSTM remembers. Behind the blocks the tape holds its states, (capacity + 1, 1 + 2 units), one before every row and
one after the last. What a forward finds in the first of its rows is all that it knows of the past: `carry_states` and
`forget` put it there.
"""

import operator
from dataclasses import dataclass

import numpy as np

from numasync.errors import InputError
from numasync.nn.layers.all_layers import (
    concat_backward,
    concat_forward,
    dense_backward,
    dense_forward,
    fill,
    lstm_backward,
    lstm_forward,
    relu_backward,
    relu_forward,
    vector_of,
)
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.products.codegen import LANES
from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import FLOAT, inline_kernel, kernel
from numasync.runtime.memory import aligned_zeros

CONV, DENSE, RELU, LSTM, CONCAT = range(5)

# The columns of the table. IN_AT, OUT_AT and GATES_AT count widths on the tape; IN_AT is -1 where a layer reads the
# observation. STATES_AT, below 0, counts widths of states from the tape's end. SECOND_AT: the other input of a join.
KIND, IN_AT, IN_SIZE, OUT_AT, OUT_SIZE, WEIGHT_AT, WEIGHT_ROWS, WEIGHT_COLUMNS, BIAS_AT = range(9)
HEIGHT, WIDTH, CHANNELS, KERNEL_SIZE, STRIDE = range(9, 14)
GATES_AT, STATES_AT, SECOND_AT = range(14, 17)
COLUMNS = 17


@dataclass(frozen=True)
class Layer:
    """One layer of a network as its user writes it; `sizes` are the constructor's arguments."""

    kind: str
    sizes: tuple = ()


def layer_of(kind, *sizes):
    """A Layer of whole numbers, NumPy's among them. Raises InputError for anything else."""
    try:
        return Layer(kind, tuple(operator.index(size) for size in sizes))
    except TypeError as error:
        raise InputError(f"{kind}{sizes} has a size that is no whole number.") from error


def conv(filters, kernel_size, stride=1):
    """A convolution without padding over (height, width, channels), square kernel."""
    return layer_of("conv", filters, kernel_size, stride)


def dense(units):
    """A fully connected layer; an image before it is flattened."""
    return layer_of("dense", units)


def relu():
    """max(x, 0)."""
    return layer_of("relu")


def lstm(units):
    """A layer of LSTM cells; it remembers from row to row of an episode."""
    return layer_of("lstm", units)


def heads(*sizes):
    """The output layer: one dense layer whose columns are the heads in order; heads(n_actions, 1) is pi and V."""
    return layer_of("heads", *sizes)


def towers(first, second):
    """A whole network of two, tuples of layers each, that read the same observation and share nothing; the outputs are
    those of the first, then those of the second."""
    return Layer("towers", (tuple(first), tuple(second)))


# Cells of the LSTM behind the hidden layers of the same name.
LSTM_UNITS = {"mlp": 128, "minatar": 128, "nips": 256, "nature": 256}

ARCHITECTURES = {
    "mlp": (dense(128), relu()),
    "minatar": (conv(16, 3), relu(), dense(128), relu()),
    "nips": (conv(16, 8, 4), relu(), conv(32, 4, 2), relu(), dense(256), relu()),
    "nature": (conv(32, 8, 4), relu(), conv(64, 4, 2), relu(), conv(64, 3, 1), relu(), dense(512), relu()),
}
# Section 5.1: 256 LSTM cells after the last hidden layer; fewer where that layer is small.
ARCHITECTURES.update({f"{name}_lstm": (*ARCHITECTURES[name], lstm(LSTM_UNITS[name])) for name in LSTM_UNITS})


class Network:
    """The layer table and what follows from it.

    table: int64 (layers, COLUMNS); n_parameters; n_inputs, n_outputs: floats a row of observations and outputs; width,
    states_width: floats a row of the tape and of the states behind it; n_work: floats that backward needs to work with.
    `layers` is what `network` was called with, `input_shape` the shape of one observation.
    """

    def __init__(self, input_shape, layers):
        self.input_shape = tuple(int(n) for n in input_shape)
        self.layers = tuple(layers)
        if not self.layers or not self.input_shape or min(self.input_shape) < 1:
            raise InputError(
                f"A network needs a layer or more, and an input shape of sizes above 0, not {input_shape}."
            )
        self.names = []
        self.n_inputs = int(np.prod(self.input_shape))
        self.n_parameters = 0
        self.width = self.states_width = 0
        alone = len(self.layers) == 1 and self.layers[0].kind == "towers"
        rows = self._towers() if alone else self._stack(self.layers)
        for row in rows:
            row[STATES_AT] -= self.states_width
        self.n_outputs = rows[-1][OUT_SIZE]
        self.n_work = max(map(work_size, rows))
        self.table = np.array(rows, np.int64)

    def _stack(self, layers, prefix=""):
        """The table rows of `layers`, the first of which reads the observation."""
        rows, shape, read_at = [], self.input_shape, -1
        for layer in layers:
            if layer.kind == "towers":
                raise InputError("towers() are a whole network; no layer can stand before or behind them.")
            row, shape = self._row(layer, shape, read_at)
            number = sum(name.startswith(f"{prefix}{layer.kind}") for name in self.names) + 1
            self.names.append(f"{prefix}{layer.kind}{'' if layer.kind in ('relu', 'heads') else number}")
            read_at = row[OUT_AT]
            rows.append(row)
        return rows

    def _towers(self):
        """The rows of both towers, and one that joins their outputs."""
        first, second = (self._stack(layers, f"tower{i}.") for i, layers in enumerate(self.layers[0].sizes, 1))
        join = [0] * COLUMNS
        join[KIND], join[IN_AT], join[IN_SIZE] = CONCAT, first[-1][OUT_AT], first[-1][OUT_SIZE]
        join[SECOND_AT], join[OUT_AT] = second[-1][OUT_AT], self.width
        join[OUT_SIZE] = first[-1][OUT_SIZE] + second[-1][OUT_SIZE]
        self.width += join[OUT_SIZE]
        self.names.append("join")
        return [*first, *second, join]

    def _row(self, layer, shape, read_at):
        """The table row of `layer` on an input of `shape`, and the shape of its output."""
        if any(size < 1 for size in layer.sizes) or (layer.kind != "relu" and not layer.sizes):
            raise InputError(f"{layer.kind}{layer.sizes} has a size below 1, or none.")
        row = [0] * COLUMNS
        inputs = int(np.prod(shape))
        row[IN_AT], row[IN_SIZE] = read_at, inputs
        if layer.kind == "relu":
            if read_at < 0:
                raise InputError("relu() cannot be the first layer; put it after conv() or dense().")
            # In place: a relu shares its input's block, since backward needs the sign of the output alone.
            row[KIND], row[OUT_AT], row[OUT_SIZE] = RELU, read_at, inputs
            return row, shape
        if layer.kind == "conv":
            row[KIND], fan_in, columns, out_shape = CONV, *self._conv(row, layer, shape)
        elif layer.kind in ("dense", "heads"):
            columns = sum(layer.sizes)
            row[KIND], fan_in, out_shape = DENSE, inputs, (columns,)
        elif layer.kind == "lstm":
            row[KIND], fan_in, columns, out_shape = LSTM, *self._lstm(row, layer, inputs)
        else:
            raise InputError(f"{layer.kind!r} is no layer; one of conv, dense, relu, lstm, heads is.")
        row[WEIGHT_AT], row[WEIGHT_ROWS], row[WEIGHT_COLUMNS] = self.n_parameters, fan_in, columns
        row[BIAS_AT] = self.n_parameters + fan_in * columns
        self.n_parameters = row[BIAS_AT] + columns
        row[OUT_AT], row[OUT_SIZE] = self.width, int(np.prod(out_shape))
        self.width += row[OUT_SIZE]
        return row, out_shape

    def _conv(self, row, layer, shape):
        filters, kernel_size, stride = layer.sizes
        if len(shape) != 3 or min(shape[:2]) < kernel_size:
            raise InputError(
                f"conv({filters}, {kernel_size}) needs an input of (height, width, channels) at least as large as its "
                f"kernel, not {shape}; for vectors use dense layers (--network mlp)."
            )
        row[HEIGHT], row[WIDTH], row[CHANNELS] = shape
        row[KERNEL_SIZE], row[STRIDE] = kernel_size, stride
        out = tuple((n - kernel_size) // stride + 1 for n in shape[:2])
        return kernel_size * kernel_size * shape[2], filters, (*out, filters)

    def _lstm(self, row, layer, inputs):
        (units,) = layer.sizes
        row[GATES_AT], row[STATES_AT] = self.width, self.states_width
        self.width += 4 * units
        self.states_width += 1 + 2 * units
        return inputs + units, 4 * units, (units,)

    def tape(self, capacity, dtype=FLOAT):
        """A tape for `capacity` rows, of zeros: nothing is remembered."""
        return aligned_zeros((capacity * self.width + (capacity + 1) * self.states_width,), dtype)

    def views(self, theta):
        """Named views into a flat vector, for reading or for setting by hand: 'conv1.weight' is (kernel, kernel,
        channels, filters), 'dense1.weight' (inputs, units), '*.bias' (units,); 'lstm1.weight' (inputs + units, 4
        units), columns in the order input, forget and output gate, candidate. Of towers: 'tower1.dense1.weight'."""
        named = {}
        for name, row in zip(self.names, self.table):
            if row[WEIGHT_ROWS] == 0:
                continue
            shape = (row[WEIGHT_ROWS], row[WEIGHT_COLUMNS])
            if row[KIND] == CONV:
                shape = (row[KERNEL_SIZE], row[KERNEL_SIZE], row[CHANNELS], row[WEIGHT_COLUMNS])
            end = row[BIAS_AT] + row[WEIGHT_COLUMNS]
            named[f"{name}.weight"] = theta[row[WEIGHT_AT] : row[BIAS_AT]].reshape(shape)
            named[f"{name}.bias"] = theta[row[BIAS_AT] : end]
        return named

    def initial(self, seed):
        """A fresh theta: weights and biases of a layer from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as Torch 7 did for
        the paper; but 1 for the bias of an LSTM's forget gate, so that at first a cell remembers. `seed` is an integer
        or a numpy SeedSequence."""
        generator = np.random.default_rng(seed)
        theta = np.empty(self.n_parameters, FLOAT)
        for row in self.table:
            if row[WEIGHT_ROWS] > 0:
                bound = 1.0 / np.sqrt(row[WEIGHT_ROWS])
                end = row[BIAS_AT] + row[WEIGHT_COLUMNS]
                theta[row[WEIGHT_AT] : end] = generator.uniform(-bound, bound, end - row[WEIGHT_AT])
            if row[KIND] == LSTM:
                units = row[OUT_SIZE]
                theta[row[BIAS_AT] + units : row[BIAS_AT] + 2 * units] = 1.0
        return theta


def work_size(row):
    """Floats that a layer's backward needs to work with: see `work` in `layers.py`. The first layer has no dx."""
    whole_vectors = row[KIND] in (DENSE, LSTM) and row[WEIGHT_COLUMNS] % LANES == 0
    if row[IN_AT] < 0 or whole_vectors:
        return 0
    return row[WEIGHT_ROWS] * row[WEIGHT_COLUMNS] // (row[KERNEL_SIZE] if row[KIND] == CONV else 1)


def network(input_shape, *layers):
    """A network on observations of `input_shape`: (height, width, channels) or (n,). Raises InputError where the
    layers do not fit the shape."""
    return Network(input_shape, layers)


@kernel
def forward(table, theta, obs, tape, first, last):
    """Fill rows first..last-1 of every layer's block from rows first..last-1 of obs, (capacity, inputs)."""
    capacity = obs.shape[0]
    for i in range(table.shape[0]):
        row = table[i]
        y = block_rows(tape, capacity, row[OUT_AT], row[OUT_SIZE], first, last)
        if row[KIND] == RELU:
            relu_forward(y)
            continue
        if row[KIND] == CONCAT:
            one, other = joined_rows(row, tape, capacity, first, last)
            concat_forward(one, other, y)
            continue
        x = input_rows(row, obs, tape, first, last)
        weight, bias = parameters(row, theta)
        if row[KIND] == DENSE:
            dense_forward(x, weight, bias, y)
        elif row[KIND] == LSTM:
            gates = block_rows(tape, capacity, row[GATES_AT], row[WEIGHT_COLUMNS], first, last)
            lstm_forward(x, weight, bias, state_rows(row, tape, capacity, first, last), gates, y)
        else:
            image = (row[HEIGHT], row[WIDTH], row[CHANNELS])
            conv_forward(x, image, row[KERNEL_SIZE], row[STRIDE], weight, bias, y)


@kernel
def backward(table, theta, obs, tape, dtape, grad, work, n):
    """Add d(loss)/d(theta) over rows 0..n-1 to grad; d(loss)/d(outputs) stands in the last block of dtape.

    The layers of `forward` in reverse. dtape has the layout of tape and is overwritten, as is work, (n_work,).
    """
    capacity = obs.shape[0]
    for i in range(table.shape[0] - 1, -1, -1):
        row = table[i]
        dy = block_rows(dtape, capacity, row[OUT_AT], row[OUT_SIZE], 0, n)
        if row[KIND] == RELU:
            relu_backward(block_rows(tape, capacity, row[OUT_AT], row[OUT_SIZE], 0, n), dy)
            continue
        if row[KIND] == CONCAT:
            one, other = joined_rows(row, dtape, capacity, 0, n)
            concat_backward(one, other, dy)
            continue
        x = input_rows(row, obs, tape, 0, n)
        dx = matrix_at(dtape, 0, 0, 0) if row[IN_AT] < 0 else input_rows(row, obs, dtape, 0, n)
        rectified = i > 0 and table[i - 1, KIND] == RELU
        weight, bias = parameters(row, theta)
        dweight, dbias = parameters(row, grad)
        if row[KIND] == DENSE:
            dense_backward(x, weight, dy, dweight, dbias, dx, work, rectified)
        elif row[KIND] == LSTM:
            states, dstates = state_rows(row, tape, capacity, 0, n), state_rows(row, dtape, capacity, 0, n)
            gates = block_rows(tape, capacity, row[GATES_AT], row[WEIGHT_COLUMNS], 0, n)
            dgates = block_rows(dtape, capacity, row[GATES_AT], row[WEIGHT_COLUMNS], 0, n)
            lstm_backward(x, weight, states, gates, dy, dweight, dbias, dstates, dgates, dx, work, rectified)
        else:
            image = (row[HEIGHT], row[WIDTH], row[CHANNELS])
            conv_backward(x, image, row[KERNEL_SIZE], row[STRIDE], weight, dy, dweight, dbias, dx, work)


@kernel
def copy_state(table, source, at, target, to, capacity):
    """The states before row `at` of one tape become those before row `to` of another, or of the same."""
    for i in range(table.shape[0]):
        row = table[i]
        if row[KIND] == LSTM:
            state = vector_of(state_rows(row, source, capacity, at, at))
            carried = vector_of(state_rows(row, target, capacity, to, to))
            for j in range(state.size):
                carried[j] = state[j]


@kernel
def reset_state(table, tape, at, capacity):
    """An episode begins with row `at`: nothing is remembered there."""
    for i in range(table.shape[0]):
        row = table[i]
        if row[KIND] == LSTM:
            fill(state_rows(row, tape, capacity, at, at), FLOAT(0))


@inline_kernel
def outputs_of(table, tape, capacity):
    """The network's outputs on the tape: a view (capacity, n_outputs)."""
    row = table[table.shape[0] - 1]
    return block_rows(tape, capacity, row[OUT_AT], row[OUT_SIZE], 0, capacity)


@inline_kernel
def input_rows(row, obs, tape, first, last):
    """Rows first..last-1 of what a layer reads: the observations, or the tape block of the layer below."""
    if row[IN_AT] < 0:
        return matrix_at(obs, first * obs.shape[1], last - first, obs.shape[1])
    return block_rows(tape, obs.shape[0], row[IN_AT], row[IN_SIZE], first, last)


@inline_kernel
def block_rows(tape, capacity, at, size, first, last):
    """Rows first..last-1 of the block (capacity, size) of a tape that begins `at` widths in."""
    return matrix_at(tape, capacity * at + first * size, last - first, size)


@inline_kernel
def joined_rows(row, tape, capacity, first, last):
    """Rows first..last-1 of both inputs of a join."""
    second_size = row[OUT_SIZE] - row[IN_SIZE]
    return (
        block_rows(tape, capacity, row[IN_AT], row[IN_SIZE], first, last),
        block_rows(tape, capacity, row[SECOND_AT], second_size, first, last),
    )


@inline_kernel
def state_rows(row, tape, capacity, first, last):
    """An LSTM's states before rows first..last, (last - first + 1, 1 + 2 units)."""
    size = 1 + 2 * row[OUT_SIZE]
    at = tape.size + (capacity + 1) * row[STATES_AT] + first * size
    return matrix_at(tape, at, last - first + 1, size)


@kernel
def parameters(row, theta):
    """A layer's slice of theta as (weight, bias)."""
    weight = matrix_at(theta, row[WEIGHT_AT], row[WEIGHT_ROWS], row[WEIGHT_COLUMNS])
    return weight, vector_at(theta, row[BIAS_AT], row[WEIGHT_COLUMNS])
