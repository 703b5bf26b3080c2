"""Matrix products out of register tiles: which tiles cover a product. `tile.py` says what a tile is.

The doors to these routines are `matmul.py` and `conv_products.py`, which name them by the product.
"""

from typing import Any

import numpy as np

from numasync.nn.products.narrow_tile import tile_narrow, tile_narrow_nt, tile_narrow_tn
from numasync.nn.products.row_tile import tile_row, tile_sparse_row, tile_sparse_row_part
from numasync.nn.products.tile import NARROW, tile_product, tile_product_nt
from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import kernel
from numasync.runtime.vectors import LANES, MANY_REGISTERS

# The tiles that cover a panel of C, some vectors of columns wide: (vectors, most rows, fewer rows, fewest rows). Single
# rows cover the rest. A tile of r rows by v vectors takes r v registers for its sums and v + 1 for its operands, out of
# 32 or 16. Enough sums keep the processor from waiting for the last multiply-add. Enough of both r and v make loads
# rare. 0 vectors: columns that fill no vector, NARROW at a time, such as the last 3 of 19.
WIDE_PANEL = (4, 5, 2, 2) if MANY_REGISTERS else (3, 4, 2, 2)
PANELS = (WIDE_PANEL, (2, 6, 5, 3), (1, 8, 4, 4), (0, 8, 4, 4))

# Strides of a matrix as it lies. They are NumPy's integers, because the compiler makes a literal of a Python integer,
# and a product of its own for each value.
ADJACENT, NO_JUMP, ONE_RUN, FIRST = np.int64(1), np.int64(0), np.int64(1), np.int64(0)

# A panel of a long B does not fit in the innermost cache, and each tile of rows would fetch it again. Where A has more
# rows than a tile, B is taken DEEP of its rows at a time: 24 KiB a panel.
FEW_ROWS, MANY_TERMS, DEEP = 8, 256, 96

# Vectors of a tile where C has one row. More of them read longer pieces of B's rows.
WIDEST, WIDE = 16, 8

# With one zero in this many numbers, or fewer, looking for zeros takes longer than their rows of B.
FEW_ZEROS = 8

# A row of B is not cut if it has at most this many numbers. Several such rows fit in the innermost cache.
SHORT_ROWS = 512

NT_ROWS = 4


def panel(vectors: int, most: int, fewer: int, fewest: int) -> Any:
    """Return the kernel that covers all rows of C, from column j on, with tiles `vectors` wide.

    The sizes of a tile are literals for the compiler: hence a kernel for each panel.
    """

    @kernel
    def cover(c, a, b, m, j, strides, ldc):
        row_stride = strides[0]
        i = 0
        while m - i >= most:
            tile_product(c, a, b, most, vectors, i * ldc + j, i * row_stride, j, strides, ldc)
            i += most
        while m - i >= fewer:
            tile_product(c, a, b, fewer, vectors, i * ldc + j, i * row_stride, j, strides, ldc)
            i += fewer
        while fewest < fewer and m - i >= fewest:
            tile_product(c, a, b, fewest, vectors, i * ldc + j, i * row_stride, j, strides, ldc)
            i += fewest
        while i < m:
            tile_product(c, a, b, 1, vectors, i * ldc + j, i * row_stride, j, strides, ldc)
            i += 1

    return cover


wide_panel, panel_of_two, panel_of_one, narrow_panel = (panel(*sizes) for sizes in PANELS)


@kernel
def add_strided_product(c, a, b, m, strides, ldc):
    """C += A B in place, where A and C lie in flat arrays with strides.

    c: flat, C[i, j] = c[i ldc + j] for i < m. ldc >= n lets C be columns of a wider matrix.
    a: flat, A[i, s, p] = a[i row_stride + s run_stride + p col_stride]; (s, p) together number the rows of B.
    b: (k, n), C-contiguous.
    strides: (row_stride, col_stride, run_stride, n_runs); n_runs >= 1 divides k.

    The strides let one routine serve A B (row_stride = k, col_stride = 1, one run), A^T B (row_stride = 1, col_stride =
    m) and a convolution: its patches are overlapping pieces of the image with a run for each image line.

    The columns of C are cut into panels of 4 or 3, 2 and 1 vectors, or of 8 vectors where C has one row. The last
    columns, too few for a vector, are taken NARROW at a time.
    """
    k, n = b.shape
    if m <= FEW_ROWS or k <= MANY_TERMS or strides[3] > 1:
        cover_columns(c, a, b, m, FIRST, strides, ldc)
    else:
        for p in range(0, k, DEEP):
            at = p * strides[1]
            from_p, rows = vector_at(a, at, a.size - at), matrix_at(b, p * n, min(DEEP, k - p), n)
            cover_columns(c, from_p, rows, m, FIRST, strides, ldc)


@kernel
def cover_columns(c, a, b, m, j, strides, ldc):
    """`add_strided_product` from column j on."""
    n = b.shape[1]
    if m == 1:
        while n - j >= WIDE * LANES:
            tile_product(c, a, b, 1, WIDE, j, 0, j, strides, ldc)
            j += WIDE * LANES
    while fits_wide_panel(m, (n - j) // LANES):
        wide_panel(c, a, b, m, j, strides, ldc)
        j += WIDE_PANEL[0] * LANES
    while n - j >= 2 * LANES:
        panel_of_two(c, a, b, m, j, strides, ldc)
        j += 2 * LANES
    while n - j >= LANES:
        panel_of_one(c, a, b, m, j, strides, ldc)
        j += LANES
    while j < n:
        narrow_panel(c, a, b, m, j, strides, ldc)
        j += NARROW


@kernel
def fits_wide_panel(m, vectors):
    """Whether the widest tiles are best for m rows, where this number of vectors is left in them.

    Tiles of 4 rows by 3 vectors leave one of 5 rows, or of 4 vectors, alone. Tiles of 2 vectors do not.
    """
    if MANY_REGISTERS:
        return vectors >= WIDE_PANEL[0]
    return vectors >= WIDE_PANEL[0] and vectors != 4 and m != 5


@kernel
def add_row_product(c, a, b):
    """c += a B in place, where A and C are one row. c: (n,); a: (k,); b: (k, n).

    A number of B is used once, so that reading B takes all the time. After a relu half of A's numbers or more are
    zeros. Rows of B that would be multiplied with a zero are not read.
    """
    n = b.shape[1]
    done = FIRST
    if MANY_REGISTERS:
        while n - done >= WIDEST * LANES:
            tile_sparse_row_part(vector_at(c, done, n - done), a, b, WIDEST, done)
            done += WIDEST * LANES
        while n - done >= WIDE * LANES:
            tile_sparse_row_part(vector_at(c, done, n - done), a, b, WIDE, done)
            done += WIDE * LANES
    elif count_zeros(a) * FEW_ZEROS > a.size:
        tile_sparse_row(c, a, b)
        done = n - n % LANES
    elif n <= SHORT_ROWS:
        tile_row(c, a, b)
        done = n - n % LANES
    if done < n:
        cover_columns(c, a, b, 1, done, (ADJACENT, ADJACENT, NO_JUMP, ONE_RUN), n)


@kernel
def count_zeros(a):
    """The number of zeros in a vector."""
    zeros = 0
    for i in range(a.size):
        zeros += a[i] == 0
    return zeros


@kernel
def add_sparse_product_tn(c, a, b):
    """C += A^T B in place, without the rows of C for which A has nothing but zeros.

    c: (m, n); a: (k, m); b: (k, n), all C-contiguous. Row i of C is B with column i of A.

    C, the gradient of a large layer, does not fit in a fast memory, and fetching its rows takes more time than the
    arithmetic. After a relu most columns of A are zeros from top to bottom. Their rows of C stay as they are.
    """
    m, n = c.shape
    i = 0
    while i < m:
        columns = 0
        while i + columns < m and not only_zeros(a, i + columns):
            columns += 1
        if columns > 0:
            from_i, rows = vector_at(a, i, a.size - i), vector_at(c, i * n, columns * n)
            add_strided_product(rows, from_i, b, columns, (ADJACENT, m, NO_JUMP, ONE_RUN), n)
        i += columns + 1


@kernel
def only_zeros(a, j):
    """Say whether column j of a matrix holds nothing but zeros."""
    for i in range(a.shape[0]):
        if a[i, j] != 0:
            return False
    return True


@kernel
def add_product_nt(c, a, b, mask, masked):
    """C += A B^T in place: dot products of rows. If `masked`, a tile of C whose `mask` is 0 all over is left alone.

    c: (m, k); a: (m, n); b: (k, n); mask: (m, k), not read unless `masked`; all C-contiguous.

    Tiles cover C where n is a multiple of LANES, except for the last k % LANES columns. Plain loops do the rest. A
    small matrix B with few columns is better transposed first, see `matmul_nt`.
    """
    m, n = a.shape
    k = b.shape[0]
    tiled = k - k % LANES if n % LANES == 0 else 0
    i = 0
    while m - i >= NT_ROWS:
        for j in range(0, tiled, LANES // NT_ROWS):
            if not masked or any_nonzero(mask, i, NT_ROWS, j, LANES // NT_ROWS):
                tile_product_nt(c, a, b, NT_ROWS, i, j)
        i += NT_ROWS
    while i < m:
        for j in range(0, tiled, LANES):
            if not masked or any_nonzero(mask, i, 1, j, LANES):
                tile_product_nt(c, a, b, 1, i, j)
        i += 1
    for i in range(m):
        for j in range(tiled, k):
            for p in range(n):
                c[i, j] += a[i, p] * b[j, p]


@kernel
def any_nonzero(mask, i, rows, j, columns):
    """Say whether a number in `rows` rows from i on and `columns` columns from j on is not 0."""
    for r in range(i, i + rows):
        for q in range(j, j + columns):
            if mask[r, q] != 0:
                return True
    return False


@kernel
def transpose(out, b):
    """out = B^T. out: (n, k); b: (k, n)."""
    k, n = b.shape
    for j in range(n):
        for i in range(k):
            out[j, i] = b[i, j]


@kernel
def add_narrow_product(y, x, w):
    """Y += X W in place, for MOST_UNITS or fewer. y: (rows, units); x: (rows, inputs); w: (inputs, units)."""
    tile_narrow(y, x, w)
    inputs, units = w.shape
    for i in range(inputs - inputs % LANES, inputs):
        for r in range(x.shape[0]):
            for u in range(units):
                y[r, u] += x[r, i] * w[i, u]


@kernel
def add_narrow_product_tn(dw, x, dy):
    """dW += X^T dY in place, for MOST_UNITS or fewer. dw: (inputs, units); x: (rows, inputs); dy: (rows, units)."""
    tile_narrow_tn(dw, x, dy)
    inputs, units = dw.shape
    for i in range(inputs - inputs % LANES, inputs):
        for r in range(x.shape[0]):
            for u in range(units):
                dw[i, u] += x[r, i] * dy[r, u]


@kernel
def narrow_product_nt(dx, dy, w):
    """dX = dY W^T, for MOST_UNITS or fewer. dx: (rows, inputs); dy: (rows, units); w: (inputs, units)."""
    tile_narrow_nt(dx, dy, w)
    inputs, units = w.shape
    for i in range(inputs - inputs % LANES, inputs):
        for r in range(dx.shape[0]):
            dx[r, i] = dy[r, 0] * w[i, 0]
            for u in range(1, units):
                dx[r, i] += dy[r, u] * w[i, u]
