"""The matrix products that every layer stands on: which tiles cover a product. What a tile is, see `tile.py`."""

import numpy as np

from numasync.nn.products.codegen import LANES
from numasync.nn.products.tile import NARROW, tile_product, tile_product_transposed, tile_sparse_row
from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import AVX512, kernel

# The tiles that cover a panel of C, some vectors of columns wide: (vectors, most rows, fewer rows), and one row for
# what is left. A tile of r rows by v vectors takes r v registers for its sums, and v + 1 for what is multiplied: of
# 32, or of 16. Enough sums keep the processor from waiting for the last multiply-add, enough of both r and v make
# loads rare. 0 vectors: columns that are left, NARROW at a time; those of the heads, above all.
PANELS = ((4, 5 if AVX512 else 2, 2), (2, 6, 3), (1, 8, 4), (0, 8, 4))

# Strides of an operand of `add_product` that is a matrix as it lies. They are NumPy's integers because of a Python
# integer the compiler would make a literal, and for its value a product of its own.
ADJACENT, NO_JUMP, ONE_RUN, FIRST = np.int64(1), np.int64(0), np.int64(1), np.int64(0)

# A panel of a long B does not fit in the innermost cache, and would be fetched again for every tile of rows. Where A has
# more rows than a tile, B is taken DEEP of its rows at a time, 24 KiB a panel.
FEW_ROWS, MANY_TERMS, DEEP = 8, 256, 96

# Vectors of a tile where C has but one row; the more there are registers for, the longer are the pieces of B's rows.
WIDEST, WIDE = 16 if AVX512 else 12, 8
TRANSPOSED_ROWS = 4


def panel(vectors, most, fewer):
    """The kernel that covers all rows of C, from column j on, with tiles that many `vectors` wide. The sizes of a tile
    are literals for the compiler: hence a kernel for each panel."""

    @kernel
    def cover(m, a, row, column, jump, runs, b, j, c, pitch):
        i = 0
        while m - i >= most:
            tile_product(most, vectors, a, i * row, row, column, jump, runs, b, j, c, i * pitch + j, pitch)
            i += most
        while m - i >= fewer:
            tile_product(fewer, vectors, a, i * row, row, column, jump, runs, b, j, c, i * pitch + j, pitch)
            i += fewer
        while i < m:
            tile_product(1, vectors, a, i * row, row, column, jump, runs, b, j, c, i * pitch + j, pitch)
            i += 1

    return cover


panel_of_four, panel_of_two, panel_of_one, narrow_panel = (panel(*sizes) for sizes in PANELS)


@kernel
def add_product(m, a, row, column, jump, runs, b, c, pitch):
    """C += A B in place, where A[i, s, p] = a[i * row + s * jump + p * column] and (s, p) together number B's rows,
    and C[i, j] = c[i * pitch + j].

    a, c: flat; b: (k, n), C-contiguous. i = 0 .. m - 1, s = 0 .. runs - 1, p = 0 .. k / runs - 1; runs >= 1 divides k.
    The strides of A let one routine serve A B (row = k, column = 1, one run), A^T B (row = 1, column = m) and a
    convolution, whose patches are overlapping pieces of the image and have a run for each image row. pitch >= n lets
    C be columns of a wider matrix.

    The columns of C are cut into panels, 4, 2 or 1 vectors wide, or 8 where there is but one row; the last ones, which
    fill no vector, are taken NARROW at a time.
    """
    k, n = b.shape
    if m <= FEW_ROWS or k <= MANY_TERMS or runs > 1:
        cover_columns(m, a, row, column, jump, runs, b, FIRST, c, pitch)
    else:
        for p in range(0, k, DEEP):
            from_p, rows = vector_at(a, p * column, a.size - p * column), matrix_at(b, p * n, min(DEEP, k - p), n)
            cover_columns(m, from_p, row, column, jump, runs, rows, FIRST, c, pitch)


@kernel
def cover_columns(m, a, row, column, jump, runs, b, j, c, pitch):
    """`add_product` from column j on."""
    n = b.shape[1]
    if m == 1:
        while n - j >= WIDE * LANES:
            tile_product(1, WIDE, a, 0, row, column, jump, runs, b, j, c, j, pitch)
            j += WIDE * LANES
    while n - j >= 4 * LANES:
        panel_of_four(m, a, row, column, jump, runs, b, j, c, pitch)
        j += 4 * LANES
    while n - j >= 2 * LANES:
        panel_of_two(m, a, row, column, jump, runs, b, j, c, pitch)
        j += 2 * LANES
    while n - j >= LANES:
        panel_of_one(m, a, row, column, jump, runs, b, j, c, pitch)
        j += LANES
    while j < n:
        narrow_panel(m, a, row, column, jump, runs, b, j, c, pitch)
        j += NARROW


@kernel
def add_row_product(a, b, c):
    """c += a B in place, where A and C are one row. a: (k,); b: (k, n); c: (n,).

    For want of a second row a number of B is used once, and reading B is all that takes time. After a relu half of a
    or more are zeros, and what they would be multiplied with is not read.
    """
    n = b.shape[1]
    j = 0
    while n - j >= WIDEST * LANES:
        tile_sparse_row(WIDEST, a, b, j, vector_at(c, j, n - j))
        j += WIDEST * LANES
    while n - j >= WIDE * LANES:
        tile_sparse_row(WIDE, a, b, j, vector_at(c, j, n - j))
        j += WIDE * LANES
    if j < n:
        cover_columns(1, a, ADJACENT, ADJACENT, NO_JUMP, ONE_RUN, b, j, c, n)


@kernel
def add_column_products(a, b, c):
    """C += A^T B in place: a row of C is B with a column of A. a: (k, m); b: (k, n); c: (m, n), all C-contiguous.

    C, the gradient of a large layer, does not fit in a fast memory, and fetching its rows takes more time than the
    arithmetic. After a relu most columns of A are zeros from top to bottom; their rows of C are left alone.
    """
    m, n = c.shape
    i = 0
    while i < m:
        columns = 0
        while i + columns < m and not only_zeros(a, i + columns):
            columns += 1
        if columns > 0:
            from_i, rows = vector_at(a, i, a.size - i), vector_at(c, i * n, columns * n)
            add_product(columns, from_i, ADJACENT, m, NO_JUMP, ONE_RUN, b, rows, n)
        i += columns + 1


@kernel
def only_zeros(a, j):
    """Whether column j of a matrix holds nothing else."""
    for i in range(a.shape[0]):
        if a[i, j] != 0:
            return False
    return True


@kernel
def add_product_transposed(a, b, c):
    """C += A B^T in place: dot products of rows. a: (m, n); b: (k, n); c: (m, k), all C-contiguous.

    Tiles cover C where n is a multiple of LANES, but for the last k % LANES columns; plain loops do the rest. A small
    matrix B with few columns is better transposed first, see `transpose`.
    """
    add_wanted_products(a, b, c, matrix_at(c, 0, 0, 0))


@kernel
def add_wanted_products(a, b, c, wanted):
    """`add_product_transposed`, in which a tile of C is left alone where `wanted`, (m, k), is 0 all over. Of size 0: all
    of C is wanted."""
    m, n = a.shape
    k = b.shape[0]
    tiled = k - k % LANES if n % LANES == 0 else 0
    i = 0
    while m - i >= TRANSPOSED_ROWS:
        for j in range(0, tiled, LANES // TRANSPOSED_ROWS):
            if is_wanted(wanted, i, TRANSPOSED_ROWS, j, LANES // TRANSPOSED_ROWS):
                tile_product_transposed(TRANSPOSED_ROWS, a, i, b, j, c)
        i += TRANSPOSED_ROWS
    while i < m:
        for j in range(0, tiled, LANES):
            if is_wanted(wanted, i, 1, j, LANES):
                tile_product_transposed(1, a, i, b, j, c)
        i += 1
    for i in range(m):
        for j in range(tiled, k):
            for p in range(n):
                c[i, j] += a[i, p] * b[j, p]


@kernel
def is_wanted(wanted, i, rows, j, columns):
    """Whether something in those rows from i on and columns from j on is not 0, or nothing is said."""
    if wanted.size == 0:
        return True
    for r in range(i, i + rows):
        for q in range(j, j + columns):
            if wanted[r, q] != 0:
                return True
    return False


@kernel
def transpose(b, out):
    """out = B^T. b: (k, n); out: (n, k)."""
    k, n = b.shape
    for i in range(k):
        for j in range(n):
            out[j, i] = b[i, j]
