"""The concatenation of two blocks: the last row of a network of two towers.

forward     y = (first, second)
backward    dfirst, dsecond = the columns of dy
"""

from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.table import IN_AT, IN_SIZE, OUT_SIZE, OWN, block_rows, output_rows
from numasync.runtime.jit import inline_kernel, kernel, pointer_kernel

# The only column of its own: the block of its second input.
SECOND_AT = OWN


@kernel
def concat_forward(y, first, second):
    """y = (first, second), side by side. y: (rows, m + n); first: (rows, m); second: (rows, n)."""
    m = first.shape[1]
    for r in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[r, j] = first[r, j] if j < m else second[r, j - m]


@kernel
def concat_backward(dfirst, dsecond, dy):
    """Give each input its own columns of dy; same shapes."""
    m = dfirst.shape[1]
    for r in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            if j < m:
                dfirst[r, j] = dy[r, j]
            else:
                dsecond[r, j - m] = dy[r, j]


@inline_kernel
def first_rows(tape, row, capacity, first, last):
    """Steps first..last-1 of the first input."""
    return block_rows(tape, capacity, row[IN_AT], row[IN_SIZE], first, last)


@inline_kernel
def second_rows(tape, row, capacity, first, last):
    """Steps first..last-1 of the second input."""
    return block_rows(tape, capacity, row[SECOND_AT], row[OUT_SIZE] - row[IN_SIZE], first, last)


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`concat_forward` for a row of the layer table."""
    y = output_rows(tape, row, capacity, first, last)
    concat_forward(y, first_rows(tape, row, capacity, first, last), second_rows(tape, row, capacity, first, last))


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """`concat_backward` for a row of the layer table."""
    dy = output_rows(dtape, row, capacity, 0, n)
    concat_backward(first_rows(dtape, row, capacity, 0, n), second_rows(dtape, row, capacity, 0, n), dy)


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """sizes: (columns of the second input, its block). in_shape: of the first input."""
    columns, second_at = sizes
    return Plan((in_shape[0] + columns,), own=(second_at,))


CONCAT = LayerKind(plan, forward, backward, n_sizes=2)
