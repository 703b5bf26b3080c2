"""Normalised inputs: each number minus its mean, divided by its deviation, and clipped to [-10, 10].

    forward     y = clip((x - mean) / deviation, -10, 10)

It has no backward. It is the first layer, and mean and deviation are not learned: `learner/moments.py` measures them
during training. They lie in theta nevertheless. Whoever copies theta (a worker for a segment, the target network, an
evaluation, a checkpoint) then has the mean and the deviation that belong to these weights. Their gradient is 0, so no
optimiser changes them.

x, y: (rows, inputs), one row a step. moments: (2, inputs), the mean and the deviation of each number. counts:
(inputs,), how many observations they were measured on. Before the first one the mean is 0 and the deviation is 1.
"""

import math

import numpy as np

from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.table import input_rows, output_rows, weight_of
from numasync.runtime.jit import FLOAT, kernel, pointer_kernel

# As VecNormalize of stable-baselines3.
CLIP = FLOAT(10)


@kernel
def normalize_forward(y, x, moments):
    """y = clip((x - mean) / deviation, -10, 10). NaN stays NaN."""
    for r in range(y.shape[0]):
        for i in range(y.shape[1]):
            z = (x[r, i] - moments[0, i]) / moments[1, i]
            z = CLIP if z > CLIP else z
            y[r, i] = -CLIP if z < -CLIP else z


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`normalize_forward` for a row of the layer table."""
    y = output_rows(tape, row, capacity, first, last)
    normalize_forward(y, input_rows(tape, obs, row, capacity, first, last), weight_of(theta, row))


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """Add nothing to grad: nothing is learned here, and no layer stands before it."""


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """It has no sizes; it keeps the shape of its input."""
    return Plan(in_shape, weight_shape=(2, math.prod(in_shape)))


def initialize(moments: np.ndarray, counts: np.ndarray) -> None:
    """Set each mean to 0 and each deviation to 1: nothing has been measured."""
    moments.reshape(2, -1)[:] = [[0.0], [1.0]]
    counts[:] = 0.0


NORMALIZE = LayerKind(plan, forward, backward, n_sizes=0, initialize=initialize, parts=("moments", "counts"))
