"""The products that layers are written in, each under its name. This is the door: the layers know nothing behind it.

    add_matmul      y  += x W        a layer's output
    add_matmul_tn   dW += x^T dy     the gradient of its weights
    matmul_nt       dx  = dy W^T     the gradient of its input
    add_rows        db += sum of dy  the gradient of its bias

Which routine of `gemm.py` is the quickest for a product depends on its shape, and on the zeros that a relu leaves: it
is chosen here. Where nothing is compiled, NumPy does the products, see `in_numpy.py`.
"""

from numasync.nn.products import in_numpy
from numasync.nn.products.gemm import (
    ADJACENT,
    NO_JUMP,
    ONE_RUN,
    add_narrow_product,
    add_narrow_product_tn,
    add_product_nt,
    add_row_product,
    add_sparse_product_tn,
    add_strided_product,
    narrow_product_nt,
    transpose,
)
from numasync.nn.products.narrow_tile import MOST_UNITS
from numasync.nn.products.views import matrix_at, vector_of
from numasync.runtime.jit import FLOAT, kernel_or
from numasync.runtime.vectors import LANES

# With this many inputs or more it pays to look for zeros among them.
MANY_INPUTS = 256


@kernel_or(in_numpy.add_matmul)
def add_matmul(y, x, weight):
    """y += x W. y: (rows, units); x: (rows, inputs); weight: (inputs, units)."""
    rows, inputs = x.shape
    if weight.shape[1] <= MOST_UNITS:
        add_narrow_product(y, x, weight)
    elif rows == 1 and inputs >= MANY_INPUTS:
        add_row_product(vector_of(y), vector_of(x), weight)
    else:
        strides = (inputs, ADJACENT, NO_JUMP, ONE_RUN)
        add_strided_product(vector_of(y), vector_of(x), weight, rows, strides, weight.shape[1])


@kernel_or(in_numpy.add_row_matmul)
def add_row_matmul(y, x, weight):
    """y += x W for one row without many zeros, such as an LSTM's h. y: (units,); x: (inputs,)."""
    add_strided_product(y, x, weight, 1, (x.size, ADJACENT, NO_JUMP, ONE_RUN), y.size)


@kernel_or(in_numpy.add_matmul_tn)
def add_matmul_tn(dweight, x, dy):
    """dW += x^T dy. dweight: (inputs, units); x: (rows, inputs); dy: (rows, units)."""
    inputs, units = dweight.shape
    if units <= MOST_UNITS:
        add_narrow_product_tn(dweight, x, dy)
    elif inputs >= MANY_INPUTS:
        add_sparse_product_tn(dweight, x, dy)
    else:
        strides = (ADJACENT, inputs, NO_JUMP, ONE_RUN)
        add_strided_product(vector_of(dweight), vector_of(x), dy, inputs, strides, units)


@kernel_or(in_numpy.add_columns_matmul_tn)
def add_columns_matmul_tn(dweight, x, dy):
    """dW += x[:, :inputs]^T dy: as `add_matmul_tn`, for the first columns of a wider matrix, which begins there.

    dweight: (inputs, units); x: (rows, width), width >= inputs; dy: (rows, units).
    """
    inputs, units = dweight.shape
    strides = (ADJACENT, x.shape[1], NO_JUMP, ONE_RUN)
    add_strided_product(vector_of(dweight), vector_of(x), dy, inputs, strides, units)


@kernel_or(in_numpy.matmul_nt)
def matmul_nt(dx, dy, weight, work, x, x_is_relu):
    """dx = dy W^T. dx: (rows, inputs); dy: (rows, units); weight: (inputs, units).

    If `x_is_relu`, x is the output of a relu. Where x is 0, the relu's backward makes dx 0, so that dx need not be
    computed there. work: as large as W where `units` fills no whole vectors; overwritten.
    """
    rows, inputs = dx.shape
    units = weight.shape[1]
    if units <= MOST_UNITS:
        narrow_product_nt(dx, dy, weight)
        return
    fill(dx, FLOAT(0))
    if units % LANES == 0:
        add_product_nt(dx, dy, weight, x, x_is_relu)
    else:
        transposed = matrix_at(work, 0, units, inputs)
        transpose(transposed, weight)
        strides = (units, ADJACENT, NO_JUMP, ONE_RUN)
        add_strided_product(vector_of(dx), vector_of(dy), transposed, rows, strides, inputs)


@kernel_or(in_numpy.add_rows)
def add_rows(total, rows):
    """total += sum of the rows. total: (width,); rows: (n, width)."""
    n = rows.shape[0]
    whole = n - n % 4
    # Four rows at a time: a row is short, and total would be loaded and stored for each.
    for r in range(0, whole, 4):
        for j in range(total.size):
            total[j] += (rows[r, j] + rows[r + 1, j]) + (rows[r + 2, j] + rows[r + 3, j])
    for r in range(whole, n):
        for j in range(total.size):
            total[j] += rows[r, j]


@kernel_or(in_numpy.fill_rows)
def fill_rows(rows, row):
    """rows[r] = row, for every r. rows: (n, width); row: (width,)."""
    for r in range(rows.shape[0]):
        for j in range(row.size):
            rows[r, j] = row[j]


@kernel_or(in_numpy.fill)
def fill(array, value):
    """array[:] = value."""
    flat = vector_of(array)
    for i in range(flat.size):
        flat[i] = value


def matmul_nt_work(inputs: int, units: int) -> int:
    """Return how many floats `matmul_nt` needs as `work`."""
    return 0 if units % LANES == 0 else inputs * units
