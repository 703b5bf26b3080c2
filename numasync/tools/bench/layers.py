"""Measure each layer of the paper's network and of MinAtar's, as training calls it.

Forward runs on the one row that acts, backward on the rows of a segment. NumPy's side is the products alone: it makes
no im2col copy and adds no bias.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from numasync.nn.layers.conv import CHANNELS, HEIGHT, KERNEL_SIZE, STRIDE, WIDTH
from numasync.nn.table import IN_AT, IN_SIZE, OUT_SIZE, WEIGHT_COLUMNS, WEIGHT_ROWS
from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import aligned_zeros
from numasync.tools.bench.comparison import Comparison, Operands, compare, random_array, repeat
from numasync.tools.bench.repeated import (
    repeat_conv_backward,
    repeat_conv_forward,
    repeat_dense_backward,
    repeat_dense_forward,
)
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.workloads import make_networks

# A row of the network's table.
Row = Sequence[int]


def measure(options: Options) -> Section:
    """Compare the passes of each layer with NumPy's products."""
    comparisons: list[Comparison] = []
    for name in ("paper", "MinAtar"):
        network, rows = make_networks()[name]
        for layer, row in zip(network.names, network.rows, strict=True):
            if row[WEIGHT_ROWS] > 0:
                comparisons.extend(layer_comparisons(f"{name} {layer}", row, rows))
    return compare(comparisons, options)


def layer_comparisons(label: str, row: Row, segment: int) -> Iterator[Comparison]:
    """Yield the Comparisons of a layer: forward, backward without the gradient of its inputs, and backward with it.

    label    the layer's name in the table of results
    row      the layer's row of the network's table
    segment  the rows of a segment

    The first layer never computes the gradient of its inputs, and a dense layer above it always does.
    """
    yield layer_comparison(label, "forward", row, 1)
    if row[KERNEL_SIZE] > 0 or row[IN_AT] < 0:
        yield layer_comparison(label, "backward, weights", row, segment)
    if row[IN_AT] >= 0:
        yield layer_comparison(label, "backward", row, segment)


def layer_comparison(label: str, which: str, row: Row, rows: int) -> Comparison:
    """Return the Comparison of one pass through a layer.

    label  the layer's name in the table of results
    which  'forward', 'backward', or 'backward, weights', which leaves out the gradient of the inputs
    row    the layer's row of the network's table
    rows   the number of rows of its inputs
    """
    x, y = random_array(rows, row[IN_SIZE]), random_array(rows, row[OUT_SIZE])
    weight, bias = random_array(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS]), random_array(row[WEIGHT_COLUMNS])
    # Of the layers that are measured, convolutions alone have a kernel.
    image = row[HEIGHT], row[WIDTH], row[CHANNELS]
    geometry = (image, row[KERNEL_SIZE], row[STRIDE]) if row[KERNEL_SIZE] > 0 else ()
    if which == "forward":
        kernel = repeat_conv_forward if geometry else repeat_dense_forward
        ours, products = repeat(kernel, y, x, weight, bias, *geometry), forward_products(row, rows)
    else:
        with_inputs = which == "backward"
        kernel = repeat_conv_backward if geometry else repeat_dense_backward
        dx = aligned_zeros((rows, row[IN_SIZE]), FLOAT)
        dweight, dbias = aligned_zeros(weight.shape, FLOAT), aligned_zeros(bias.shape, FLOAT)
        work = aligned_zeros((weight.size,), FLOAT)
        ours = repeat(kernel, dx, dweight, dbias, y, x, weight, work, with_inputs, *geometry)
        products = backward_products(row, rows, with_inputs)
    a, b, _ = forward_products(row, 1)[0]
    labels = {"layer": label, "pass": which, "rows": rows, "shape": f"{a.shape[0]}x{a.shape[1]}x{b.shape[1]}"}
    return Comparison(labels, ours, products)


def forward_products(row: Row, rows: int) -> list[Operands]:
    """Return the operands of Y = X W. X is the input, or its im2col matrix, which has a row for each patch."""
    patches, outputs = product_matrices(row, rows)
    return [(patches, random_array(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS]), outputs)]


def backward_products(row: Row, rows: int, with_inputs: bool) -> list[Operands]:
    """Return the operands of dW = X^T dY, and of dX = dY W^T where the gradient of the inputs is computed too."""
    patches, doutputs = product_matrices(row, rows)
    weight = random_array(row[WEIGHT_ROWS], row[WEIGHT_COLUMNS])
    products = [(patches.T, doutputs, np.zeros_like(weight))]
    if with_inputs:
        products.append((doutputs, weight.T, np.zeros_like(patches)))
    return products


def product_matrices(row: Row, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's inputs and outputs as the matrices of its product."""
    positions = rows * row[OUT_SIZE] // row[WEIGHT_COLUMNS]
    return random_array(positions, row[WEIGHT_ROWS]), random_array(positions, row[WEIGHT_COLUMNS])
