"""The LSTM layer, step after step:

    i, f, o = sigmoid(x_t W_x + h_{t-1} W_h + b)    input, forget and output gate
    u       = tanh(x_t W_x + h_{t-1} W_h + b)       candidate
    c_t     = f c_{t-1} + i u                       cell
    h_t     = o tanh(c_t)                           output

and backward through the steps, from the last one to step 0. It is truncated there: nothing leaves step 0.

    dh_t     = dy_t + dh_t of step t + 1
    dc_t     = dc_t of step t + 1 + dh_t o (1 - tanh(c_t)^2)
    di, df   = dc_t u i (1 - i), dc_t c_{t-1} f (1 - f)
    do, du   = dh_t tanh(c_t) o (1 - o), dc_t i (1 - u^2)
    dh_{t-1} = (di, df, do, du) W_h^T      dc_{t-1} = dc_t f      both 0 where an episode begins

then for all steps at once, with dgates = (di, df, do, du):

    dW_x = x^T dgates    dW_h = h_{t-1}^T dgates    db = sum of dgates    dx = dgates W_x^T

x: (rows, inputs), one row a step. W: (inputs + units, 4 units), W_x above W_h, columns in the order i, f, o, u. b: (4
units,). y: h, (rows, units). gates: i, f, o and u, kept for the backward, (rows, 4 units).
states: (rows + 1, 1 + 2 units). Row t is the state before step t: 1, h_{t-1}, c_{t-1}. It is zeros where an episode
begins.
"""

import math

import numpy as np

from numasync.nn.layers.dense import dense_backward, dense_forward
from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.products.gemm import add_product_nt
from numasync.nn.products.matmul import add_columns_matmul_tn, add_row_matmul, fill, matmul_nt_work
from numasync.nn.products.views import matrix_at, row_at, vector_at
from numasync.nn.table import (
    INPUT_IS_RELU,
    NEEDS_DX,
    bias_of,
    input_rows,
    kept_rows,
    output_rows,
    state_rows,
    weight_of,
)
from numasync.runtime.jit import FLOAT, inline_kernel, kernel, kernel_or, pointer_kernel


@kernel
def lstm_forward(y, states, gates, x, weight, bias):
    """Write y and gates, and rows 1.. of states from row 0."""
    rows, inputs = x.shape
    units = y.shape[1]
    dense_forward(gates, x, input_weight(weight, inputs), bias)
    for t in range(rows):
        h, c = state_at(states, t, units)
        h_next, c_next = state_at(states, t + 1, units)
        add_row_matmul(row_at(gates, t), h, recurrent_weight(weight, inputs, units))
        lstm_cell(h_next, c_next, row_at(gates, t), c)
        states[t + 1, 0] = FLOAT(1)
        for j in range(units):
            y[t, j] = h_next[j]


def lstm_cell_in_numpy(h_next, c_next, gates, c):
    """`lstm_cell` in NumPy."""
    sums, candidate = gates[: 3 * c.size], gates[3 * c.size :]
    with np.errstate(over="ignore"):  # 1 / infinity is 0
        sums[:] = FLOAT(1) / (FLOAT(1) + np.exp(-sums))
    np.tanh(candidate, out=candidate)
    i, f, o = sums.reshape(3, -1)
    c_next[:] = f * c + i * candidate
    h_next[:] = o * np.tanh(c_next)


@kernel_or(lstm_cell_in_numpy)
def lstm_cell(h_next, c_next, gates, c):
    """For one step: the gates from their sums, in place, then c_t and h_t from c_{t-1}. gates: (4 units,)."""
    units = c.size
    for j in range(3 * units):
        gates[j] = FLOAT(1) / (FLOAT(1) + np.exp(-gates[j]))
    for j in range(3 * units, 4 * units):
        gates[j] = np.tanh(gates[j])
    for j in range(units):
        c_next[j] = gates[units + j] * c[j] + gates[j] * gates[3 * units + j]
        h_next[j] = gates[2 * units + j] * np.tanh(c_next[j])


@kernel
def lstm_backward(dx, dweight, dbias, dstates, dgates, dy, x, states, gates, weight, work, needs_dx, x_is_relu):
    """Add to dweight and dbias, write dx, dstates and dgates. needs_dx, work, x_is_relu: as in `dense_backward`."""
    rows, inputs = x.shape
    units = dy.shape[1]
    fill(dstates, FLOAT(0))
    for t in range(rows - 1, -1, -1):
        lstm_cell_backward(dstates, row_at(dgates, t), row_at(dy, t), states, row_at(gates, t), t)
        if t > 0 and states[t, 0] > 0:
            add_recurrent_gradient(dstates, dgates, recurrent_weight(weight, inputs, units), t)
    h = matrix_at(states, 1, rows, states.shape[1])
    add_columns_matmul_tn(recurrent_weight(dweight, inputs, units), h, dgates)
    dinput, input_part = input_weight(dweight, inputs), input_weight(weight, inputs)
    dense_backward(dx, dinput, dbias, dgates, x, input_part, work, needs_dx, x_is_relu)


@kernel
def lstm_cell_backward(dstates, dgates, dy, states, gates, t):
    """Step t: dgates, (4 units,), from dy, (units,), and dstates[t + 1]; dc_{t-1} into dstates[t]."""
    units = dy.size
    _, c_before = state_at(states, t, units)
    dh_after, dc_after = state_at(dstates, t + 1, units)
    _, dc_before = state_at(dstates, t, units)
    for j in range(units):
        i, f, o, u = gates[j], gates[units + j], gates[2 * units + j], gates[3 * units + j]
        # Not from the states: where the episode ended after this step, they hold zeros.
        tanh_c = np.tanh(f * c_before[j] + i * u)
        dh = dy[j] + dh_after[j]
        dc = dc_after[j] + dh * o * (FLOAT(1) - tanh_c * tanh_c)
        dgates[j] = dc * u * i * (FLOAT(1) - i)
        dgates[units + j] = dc * c_before[j] * f * (FLOAT(1) - f)
        dgates[2 * units + j] = dh * tanh_c * o * (FLOAT(1) - o)
        dgates[3 * units + j] = dc * i * (FLOAT(1) - u * u)
        dc_before[j] = dc * f * states[t, 0]


@kernel
def add_recurrent_gradient(dstates, dgates, weight, t):
    """dh_{t-1} += dgates_t W_h^T, in dstates[t]."""
    units, width = weight.shape
    dh, dgates_t = matrix_at(dstates, t * dstates.shape[1] + 1, 1, units), matrix_at(dgates, t * width, 1, width)
    add_product_nt(dh, dgates_t, weight, dh, False)


@inline_kernel
def state_at(states, t, units):
    """h and c, (units,) each, in row t of the states."""
    at = t * states.shape[1] + 1
    return vector_at(states, at, units), vector_at(states, at + units, units)


@inline_kernel
def input_weight(weight, inputs):
    """W_x, (inputs, 4 units)."""
    return matrix_at(weight, 0, inputs, weight.shape[1])


@inline_kernel
def recurrent_weight(weight, inputs, units):
    """W_h, (units, 4 units)."""
    return matrix_at(weight, inputs * weight.shape[1], units, weight.shape[1])


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`lstm_forward` for a row of the layer table."""
    y, gates = output_rows(tape, row, capacity, first, last), kept_rows(tape, row, capacity, first, last)
    states, x = state_rows(tape, row, capacity, first, last), input_rows(tape, obs, row, capacity, first, last)
    lstm_forward(y, states, gates, x, weight_of(theta, row), bias_of(theta, row))


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """`lstm_backward` for a row of the layer table."""
    dx, x = input_rows(dtape, obs, row, capacity, 0, n), input_rows(tape, obs, row, capacity, 0, n)
    dweight, dbias = weight_of(grad, row), bias_of(grad, row)
    dstates, states = state_rows(dtape, row, capacity, 0, n), state_rows(tape, row, capacity, 0, n)
    dgates, gates = kept_rows(dtape, row, capacity, 0, n), kept_rows(tape, row, capacity, 0, n)
    dy, weight = output_rows(dtape, row, capacity, 0, n), weight_of(theta, row)
    needs_dx, x_is_relu = row[NEEDS_DX] != 0, row[INPUT_IS_RELU] != 0
    work = vector_at(work, 0, weight.size)
    lstm_backward(dx, dweight, dbias, dstates, dgates, dy, x, states, gates, weight, work, needs_dx, x_is_relu)


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """sizes: (units,). Images are flattened."""
    (units,), inputs = sizes, math.prod(in_shape)
    return Plan(
        (units,),
        weight_shape=(inputs + units, 4 * units),
        kept_size=4 * units,
        state_size=1 + 2 * units,
        work_size=matmul_nt_work(inputs, 4 * units),
    )


def initialize(weight: np.ndarray, bias: np.ndarray) -> None:
    """Set the forget gate's bias to 1, so that at first a cell remembers."""
    units = bias.size // 4
    bias[units : 2 * units] = 1.0


LSTM = LayerKind(plan, forward, backward, n_sizes=1, initialize=initialize)
