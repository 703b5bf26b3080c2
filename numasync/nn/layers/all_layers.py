"""The layers, each forward and its backward right below it, but for the convolution: that is in `convolution.py`.

x and y are rows of a segment, one row a time step. `d` + name is the gradient of name. Gradients of parameters are
added to (the caller clears them); gradients of activations are written, because each activation feeds one layer only.
"""

import numpy as np

from numasync.nn.products.codegen import LANES
from numasync.nn.products.gemm import (
    ADJACENT,
    NO_JUMP,
    ONE_RUN,
    add_column_products,
    add_product,
    add_product_transposed,
    add_row_product,
    add_wanted_products,
    transpose,
)
from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import FLOAT, inline_kernel, kernel

# Inputs from which on it pays to look which of them are zero.
MANY_INPUTS = 256


@kernel
def dense_forward(x, weight, bias, y):
    """y = x W + b. x: (rows, inputs); weight: (inputs, units); bias: (units,); y: (rows, units)."""
    rows, inputs = x.shape
    fill_rows(bias, y)
    if rows == 1 and inputs >= MANY_INPUTS:
        add_row_product(vector_of(x), weight, vector_of(y))
    else:
        add_product(rows, vector_of(x), inputs, ADJACENT, NO_JUMP, ONE_RUN, weight, vector_of(y), bias.size)


@kernel
def dense_backward(x, weight, dy, dweight, dbias, dx, work, rectified):
    """dW += x^T dy, db += sum of dy over rows, dx = dy W^T. `dx` of size 0 is not computed (the first layer).

    rectified: x comes out of a relu. Where it is 0, the relu's backward will make 0 of dx, which is then not computed.
    work: as large as W where the columns of W fill no whole vectors; overwritten.
    """
    rows, inputs = x.shape
    units = dbias.size
    if inputs >= MANY_INPUTS:
        add_column_products(x, dy, dweight)
    else:
        add_product(inputs, vector_of(x), ADJACENT, inputs, NO_JUMP, ONE_RUN, dy, vector_of(dweight), units)
    add_rows(dy, dbias)
    if dx.size > 0:
        fill(dx, FLOAT(0))
        if units % LANES == 0:
            add_wanted_products(dy, weight, dx, x if rectified else matrix_at(x, 0, 0, 0))
        else:
            transposed = matrix_at(work, 0, units, inputs)
            transpose(weight, transposed)
            add_product(rows, vector_of(dy), units, ADJACENT, NO_JUMP, ONE_RUN, transposed, vector_of(dx), inputs)


@kernel
def relu_forward(y):
    """y = max(y, 0), in place. y: (rows, units)."""
    flat = vector_of(y)
    for i in range(flat.size):
        flat[i] = max(flat[i], FLOAT(0))


@kernel
def relu_backward(y, dy):
    """dy = dy where y > 0, else 0, in place: the sign of the output says whether the input was positive."""
    flat, dflat = vector_of(y), vector_of(dy)
    for i in range(flat.size):
        dflat[i] = dflat[i] if flat[i] > FLOAT(0) else FLOAT(0)


@kernel
def lstm_forward(x, weight, bias, states, gates, y):
    """A layer of LSTM cells, row after row:

        i, f, o = sigmoid(x_t W_x + h_{t-1} W_h + b)    input, forget and output gate
        u       = tanh(x_t W_x + h_{t-1} W_h + b)       candidate
        c_t     = f c_{t-1} + i u                       cell
        h_t     = o tanh(c_t)                           output

    x: (rows, inputs); weight: (inputs + units, 4 units), W_x above W_h, columns in the order i, f, o, u; bias: (4
    units,); y: h, (rows, units). gates: i, f, o and u, kept for the backward, (rows, 4 units).
    states: (rows + 1, 1 + 2 units). Row t is the state before row t: 1, h_{t-1}, c_{t-1}, or zeros where an episode
    begins. Row 0 is read, the others are written.
    """
    rows, inputs = x.shape
    units = y.shape[1]
    dense_forward(x, matrix_at(weight, 0, inputs, 4 * units), bias, gates)
    recurrent = matrix_at(weight, inputs * 4 * units, units, 4 * units)
    for t in range(rows):
        h, c = state_at(states, t, units)
        add_product(1, h, units, ADJACENT, NO_JUMP, ONE_RUN, recurrent, row_at(gates, t), 4 * units)
        states[t + 1, 0] = FLOAT(1)
        h_next, c_next = state_at(states, t + 1, units)
        lstm_cell(row_at(gates, t), c, c_next, h_next)
        for j in range(units):
            y[t, j] = h_next[j]


@kernel
def lstm_cell(gates, c, c_next, h_next):
    """Of one row: the gates from their sums, in place, (4 units,); then c_t and h_t, (units,), from c_{t-1}."""
    units = c.size
    for j in range(3 * units):
        gates[j] = FLOAT(1) / (FLOAT(1) + np.exp(-gates[j]))
    for j in range(3 * units, 4 * units):
        gates[j] = np.tanh(gates[j])
    for j in range(units):
        c_next[j] = gates[units + j] * c[j] + gates[j] * gates[3 * units + j]
        h_next[j] = gates[2 * units + j] * np.tanh(c_next[j])


@kernel
def lstm_backward(x, weight, states, gates, dy, dweight, dbias, dstates, dgates, dx, work, rectified):
    """Backward of `lstm_forward`, same shapes: back through the rows, and truncated: nothing leaves row 0.

        dh_t     = dy_t + dh_t of row t + 1
        dc_t     = dc_t of row t + 1 + dh_t o (1 - tanh(c_t)^2)
        di, df   = dc_t u i (1 - i), dc_t c_{t-1} f (1 - f)
        do, du   = dh_t tanh(c_t) o (1 - o), dc_t i (1 - u^2)
        dh_{t-1} = (di, df, do, du) W_h^T      dc_{t-1} = dc_t f      both 0 where an episode begins

    and, for all rows at once, dW_x += x^T dgates, dW_h += h_{t-1}^T dgates, db += sum of dgates, dx = dgates W_x^T.
    dstates, dgates: overwritten. dx, work, rectified: as in `dense_backward`, for W_x.
    """
    rows, inputs = x.shape
    units = dy.shape[1]
    at, size = inputs * 4 * units, 1 + 2 * units
    recurrent, drecurrent = matrix_at(weight, at, units, 4 * units), matrix_at(dweight, at, units, 4 * units)
    fill(dstates, FLOAT(0))
    for t in range(rows - 1, -1, -1):
        lstm_cell_backward(states, t, row_at(gates, t), row_at(dy, t), dstates, row_at(dgates, t))
        if t > 0 and states[t, 0] > 0:
            dgates_row, dh = matrix_at(dgates, t * 4 * units, 1, 4 * units), matrix_at(dstates, t * size + 1, 1, units)
            add_product_transposed(dgates_row, recurrent, dh)
    h = vector_at(states, 1, states.size - 1)
    add_product(units, h, ADJACENT, size, NO_JUMP, ONE_RUN, dgates, vector_of(drecurrent), 4 * units)
    dinput = matrix_at(dweight, 0, inputs, 4 * units)
    dense_backward(x, matrix_at(weight, 0, inputs, 4 * units), dgates, dinput, dbias, dx, work, rectified)


@kernel
def lstm_cell_backward(states, t, gates, dy, dstates, dgates):
    """Row t: dgates, (4 units,), from dy, (units,), and dstates[t + 1]; dc_{t-1} into dstates[t]."""
    units = dy.size
    _, c_before = state_at(states, t, units)
    dh_after, dc_after = state_at(dstates, t + 1, units)
    _, dc_before = state_at(dstates, t, units)
    for j in range(units):
        i, f, o, u = gates[j], gates[units + j], gates[2 * units + j], gates[3 * units + j]
        # Not from the states: where the episode ended after this row, they hold zeros.
        squashed = np.tanh(f * c_before[j] + i * u)
        dh = dy[j] + dh_after[j]
        dc = dc_after[j] + dh * o * (FLOAT(1) - squashed * squashed)
        dgates[j] = dc * u * i * (FLOAT(1) - i)
        dgates[units + j] = dc * c_before[j] * f * (FLOAT(1) - f)
        dgates[2 * units + j] = dh * squashed * o * (FLOAT(1) - o)
        dgates[3 * units + j] = dc * i * (FLOAT(1) - u * u)
        dc_before[j] = dc * f * states[t, 0]


@kernel
def concat_forward(first, second, y):
    """y = the columns of `first`, then those of `second`. first: (rows, m); second: (rows, n); y: (rows, m + n)."""
    m = first.shape[1]
    for r in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[r, j] = first[r, j] if j < m else second[r, j - m]


@kernel
def concat_backward(dfirst, dsecond, dy):
    """Each input has its own columns of dy; same shapes."""
    m = dfirst.shape[1]
    for r in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            if j < m:
                dfirst[r, j] = dy[r, j]
            else:
                dsecond[r, j - m] = dy[r, j]


@inline_kernel
def state_at(states, t, units):
    """h and c, (units,) each, of row t of an LSTM's states."""
    at = t * states.shape[1] + 1
    return vector_at(states, at, units), vector_at(states, at + units, units)


@inline_kernel
def row_at(rows, t):
    """Row t of a C-contiguous matrix, (columns,)."""
    return vector_at(rows, t * rows.shape[1], rows.shape[1])


@inline_kernel
def vector_of(array):
    """All elements of a C-contiguous array, (size,)."""
    return vector_at(array, 0, array.size)


@kernel
def fill(array, value):
    """array[:] = value."""
    flat = vector_of(array)
    for i in range(flat.size):
        flat[i] = value


@kernel
def fill_rows(row, rows):
    """rows[r] = row, for every r. row: (width,); rows: (n, width)."""
    for r in range(rows.shape[0]):
        for j in range(row.size):
            rows[r, j] = row[j]


@kernel
def add_rows(rows, total):
    """total += sum of the rows. rows: (n, width); total: (width,)."""
    n = rows.shape[0]
    whole = n - n % 4
    # Four rows at a time: a row is short, and total would be loaded and stored for each.
    for r in range(0, whole, 4):
        for j in range(total.size):
            total[j] += (rows[r, j] + rows[r + 1, j]) + (rows[r + 2, j] + rows[r + 3, j])
    for r in range(whole, n):
        for j in range(total.size):
            total[j] += rows[r, j]
