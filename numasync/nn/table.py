"""The layer table: one row of whole numbers for each layer. It says where the layer reads and writes, and what it runs.

All parameters are slices of one flat vector theta. The *tape* holds what a segment computed, block after block. A
block is a matrix with one row a step: a layer's outputs, what it keeps for its backward, or its hidden state. Its
place on the tape is counted in columns, and every block has capacity + 1 rows, where capacity is the number of rows
of the observations. The row more is for hidden states: row t is the state before step t.
"""

from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import inline_kernel

# The columns of the table.
FORWARD, BACKWARD = 0, 1  # addresses of the layer's kernels, see runtime/pointers.py
IN_AT, IN_SIZE = 2, 3  # the block of the layer's inputs; IN_AT is -1 where it reads the observation
OUT_AT, OUT_SIZE = 4, 5  # the block of its outputs
WEIGHT_AT, WEIGHT_ROWS, WEIGHT_COLUMNS, BIAS_AT = 6, 7, 8, 9  # its weights and biases in theta
KEPT_AT, KEPT_SIZE = 10, 11  # the block of what it keeps for its backward
STATE_AT, STATE_SIZE = 12, 13  # the block of its hidden state; STATE_SIZE is 0 where it has none
INPUT_IS_RELU = 14  # 1 where its inputs are the outputs of a relu
NEEDS_DX = 15  # 1 where its backward computes the gradient of its inputs: something below it is learned
OWN = 16  # the first of the columns that each kind of layer uses as it likes
COLUMNS = 21


@inline_kernel
def block_rows(tape, capacity, at, size, first, last):
    """Rows first..last-1 of the block of `size` columns that begins at column `at` of the tape."""
    return matrix_at(tape, (capacity + 1) * at + first * size, last - first, size)


@inline_kernel
def output_rows(tape, row, capacity, first, last):
    """Rows first..last-1 of a layer's outputs, (last - first, OUT_SIZE)."""
    return block_rows(tape, capacity, row[OUT_AT], row[OUT_SIZE], first, last)


@inline_kernel
def input_rows(tape, obs, row, capacity, first, last):
    """Rows first..last-1 of a layer's inputs, (last - first, IN_SIZE): of the observations or of the block below."""
    if row[IN_AT] < 0:
        return matrix_at(obs, first * row[IN_SIZE], last - first, row[IN_SIZE])
    return block_rows(tape, capacity, row[IN_AT], row[IN_SIZE], first, last)


@inline_kernel
def kept_rows(tape, row, capacity, first, last):
    """Rows first..last-1 of what a layer keeps for its backward, (last - first, KEPT_SIZE)."""
    return block_rows(tape, capacity, row[KEPT_AT], row[KEPT_SIZE], first, last)


@inline_kernel
def state_rows(tape, row, capacity, first, last):
    """A layer's hidden states before steps first..last, (last - first + 1, STATE_SIZE)."""
    return block_rows(tape, capacity, row[STATE_AT], row[STATE_SIZE], first, last + 1)


@inline_kernel
def weight_of(theta, row):
    """A layer's weights, (WEIGHT_ROWS, WEIGHT_COLUMNS)."""
    return matrix_at(theta, row[WEIGHT_AT], row[WEIGHT_ROWS], row[WEIGHT_COLUMNS])


@inline_kernel
def bias_of(theta, row):
    """A layer's biases, (WEIGHT_COLUMNS,)."""
    return vector_at(theta, row[BIAS_AT], row[WEIGHT_COLUMNS])
