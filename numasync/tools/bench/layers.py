"""Each layer of the paper's network and of MinAtar's as training calls it: forward on the one row that acts, backward
on the rows of a segment. NumPy's side is the products alone: it needs no im2col copy and adds no bias."""

import numpy as np

from numasync.nn.network import (
    CHANNELS,
    CONV,
    HEIGHT,
    IN_AT,
    IN_SIZE,
    KERNEL_SIZE,
    KIND,
    OUT_SIZE,
    RELU,
    STRIDE,
    WEIGHT_COLUMNS,
    WEIGHT_ROWS,
    WIDTH,
    work_size,
)
from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import aligned_zeros
from numasync.tools.bench.contest import Contest, contests, numbers, repeated
from numasync.tools.bench.repeated import (
    repeat_conv_backward,
    repeat_conv_forward,
    repeat_dense_backward,
    repeat_dense_forward,
)
from numasync.tools.bench.subjects import networks


def measure(options):
    entries = []
    for name in ("paper", "MinAtar"):
        network, rows = networks()[name]
        for layer, row in zip(network.names, network.table.tolist()):
            if row[KIND] != RELU:
                entries.extend(layer_contests(f"{name} {layer}", row, rows))
    return contests(entries, options)


def layer_contests(label, row, segment):
    """The Contests of a layer, a row of the network's table: forward, backward without and with the inputs' gradient.
    The first layer never computes that one, a dense layer above it always."""
    yield contest(label, "forward", row, 1)
    if row[KIND] == CONV or row[IN_AT] < 0:
        yield contest(label, "backward, weights", row, segment)
    if row[IN_AT] >= 0:
        yield contest(label, "backward", row, segment)


def contest(label, which, row, rows):
    """One pass through a layer with `rows` rows."""
    x, y = numbers(rows, row[IN_SIZE]), numbers(rows, row[OUT_SIZE])
    weight, bias = numbers(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS]), numbers(row[WEIGHT_COLUMNS])
    geometry = ((row[HEIGHT], row[WIDTH], row[CHANNELS]), row[KERNEL_SIZE], row[STRIDE]) if row[KIND] == CONV else ()
    if which == "forward":
        repeat = repeat_conv_forward if geometry else repeat_dense_forward
        ours, dots = repeated(repeat, x, *geometry, weight, bias, y), forward_dots(row, rows)
    else:
        with_inputs = which == "backward"
        repeat = repeat_conv_backward if geometry else repeat_dense_backward
        dx = aligned_zeros((rows, row[IN_SIZE] if with_inputs else 0), FLOAT)
        dweight, dbias = aligned_zeros(weight.shape, FLOAT), aligned_zeros(bias.shape, FLOAT)
        work = aligned_zeros((work_size(row),), FLOAT)
        ours = repeated(repeat, x, *geometry, weight, y, dweight, dbias, dx, work)
        dots = backward_dots(row, rows, with_inputs)
    a, b, _ = forward_dots(row, 1)[0]
    labels = {"layer": label, "pass": which, "rows": rows, "shape": f"{a.shape[0]}x{a.shape[1]}x{b.shape[1]}"}
    return Contest(labels, ours, dots)


def forward_dots(row, rows):
    """Y = X W: X is the input, or its im2col matrix with a row a patch."""
    patches, outputs = matrices(row, rows)
    return [(patches, numbers(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS]), outputs)]


def backward_dots(row, rows, with_inputs):
    """dW = X^T dY, and dX = dY W^T where the inputs' gradient is wanted."""
    patches, doutputs = matrices(row, rows)
    weight = numbers(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS])
    dots = [(patches.T, doutputs, np.zeros_like(weight))]
    return dots + [(doutputs, weight.T, np.zeros_like(patches))] * with_inputs


def matrices(row, rows):
    """A layer's inputs and outputs as the matrices of its product."""
    positions = rows * row[OUT_SIZE] // row[WEIGHT_COLUMNS]
    return numbers(positions, row[WEIGHT_ROWS]), numbers(positions, row[WEIGHT_COLUMNS])
