"""The two passes through a network: forward walks the layer table down, backward walks it up.

They call each layer through its address in the table, so that one compilation serves every network. Acting fills row t
of every block of the tape. Backward takes the rows of a segment as one batch. Nothing is computed twice.
"""

from numasync.nn.products.matmul import fill
from numasync.nn.products.views import row_at, vector_of
from numasync.nn.table import BACKWARD, FORWARD, OUT_AT, OUT_SIZE, STATE_SIZE, block_rows, state_rows
from numasync.runtime.jit import FLOAT, inline_kernel, kernel, kernel_or
from numasync.runtime.pointers import call_at


def forward_in_python(tape, obs, theta, table, first, last):
    """`forward` with rows of Python's integers: one read out of an array takes longer than a small layer's product."""
    capacity = obs.shape[0]
    for row in table.tolist():
        call_at(row[FORWARD], (tape, obs, theta, row, capacity, first, last))


@kernel_or(forward_in_python)
def forward(tape, obs, theta, table, first, last):
    """Fill rows first..last-1 of every layer's blocks of the tape.

    tape: flat, see `table.py`. obs: (capacity, inputs). theta: (n_parameters,). table: (layers, COLUMNS).
    """
    capacity = obs.shape[0]
    for i in range(table.shape[0]):
        row = row_at(table, i)
        call_at(row[FORWARD], (tape, obs, theta, row, capacity, first, last))


def backward_in_python(dtape, grad, tape, obs, theta, work, table, n):
    """`backward` with rows of Python's integers."""
    capacity = obs.shape[0]
    for row in reversed(table.tolist()):
        call_at(row[BACKWARD], (dtape, grad, tape, obs, theta, work, row, capacity, n))


@kernel_or(backward_in_python)
def backward(dtape, grad, tape, obs, theta, work, table, n):
    """Add d(loss)/d(theta) over rows 0..n-1 to grad. d(loss)/d(outputs) stands in the outputs' block of dtape.

    The layers of `forward` in reverse. dtape: laid out as tape; overwritten. work: (n_work,); overwritten.
    """
    capacity = obs.shape[0]
    for i in range(table.shape[0] - 1, -1, -1):
        row = row_at(table, i)
        call_at(row[BACKWARD], (dtape, grad, tape, obs, theta, work, row, capacity, n))


@inline_kernel
def outputs_of(tape, table, capacity):
    """The network's outputs on the tape: a view (capacity, n_outputs)."""
    row = row_at(table, table.shape[0] - 1)
    return block_rows(tape, capacity, row[OUT_AT], row[OUT_SIZE], 0, capacity)


@kernel
def copy_state(target, source, table, target_row, source_row, capacity):
    """Copy the hidden states before step source_row of one tape to step target_row of another, or of the same."""
    for i in range(table.shape[0]):
        row = row_at(table, i)
        if row[STATE_SIZE] > 0:
            copied = vector_of(state_rows(target, row, capacity, target_row, target_row))
            state = vector_of(state_rows(source, row, capacity, source_row, source_row))
            for j in range(state.size):
                copied[j] = state[j]


@kernel
def reset_state(tape, table, at, capacity):
    """Clear the hidden states before step `at`: an episode begins there."""
    for i in range(table.shape[0]):
        row = row_at(table, i)
        if row[STATE_SIZE] > 0:
            fill(state_rows(tape, row, capacity, at, at), FLOAT(0))
