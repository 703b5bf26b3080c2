"""The rectified linear unit, in place: its outputs take the place of its inputs on the tape.

    forward     y  = max(x, 0)
    backward    dx = dy where y > 0, else 0

The sign of the output says whether the input was positive, so that the input need not be kept.
"""

import numpy as np

from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.products.views import vector_of
from numasync.nn.table import output_rows
from numasync.runtime.jit import FLOAT, kernel_or, pointer_kernel

# A number below this is raised to it before it meets 0, because infinity times 0 would be NaN.
LOWEST = FLOAT(-3e38)


def relu_in_numpy(y):
    """`relu_forward` in NumPy."""
    np.maximum(y, FLOAT(0), out=y)


@kernel_or(relu_in_numpy)
def relu_forward(y):
    """y = max(y, 0), in place. NaN stays NaN. y: (rows, units)."""
    flat = vector_of(y)
    for i in range(flat.size):
        # A product, because the compiler makes vectors of it. It would take the numbers of a `max` one by one.
        x = flat[i]
        flat[i] = (LOWEST if x < LOWEST else x) * (x > FLOAT(0))


def relu_backward_in_numpy(dy, y):
    """`relu_backward` in NumPy."""
    np.copyto(dy, FLOAT(0), where=~(y > 0))


@kernel_or(relu_backward_in_numpy)
def relu_backward(dy, y):
    """dy = dy where y > 0, else 0, in place. dy, y: (rows, units)."""
    dflat, flat = vector_of(dy), vector_of(y)
    for i in range(flat.size):
        dflat[i] = dflat[i] if flat[i] > FLOAT(0) else FLOAT(0)


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`relu_forward` for a row of the layer table."""
    relu_forward(output_rows(tape, row, capacity, first, last))


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """`relu_backward` for a row of the layer table."""
    relu_backward(output_rows(dtape, row, capacity, 0, n), output_rows(tape, row, capacity, 0, n))


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """A relu has no sizes; it keeps the shape of its input."""
    return Plan(in_shape, in_place=True)


RELU = LayerKind(plan, forward, backward, n_sizes=0)
