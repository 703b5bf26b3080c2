"""The two matrix products that every layer stands on: which tiles cover a product. What a tile is, see `tile.py`."""

from numasync.jit import AVX512, kernel
from numasync.nn.tile import LANES, tile_product, tile_product_transposed

# A tile of r rows by v vectors takes r v registers for its sums, and v + 1 for what is multiplied: of 32, or of 16.
# Enough sums keep the processor from waiting for the last multiply-add, enough of both r and v make loads rare.
ROWS_BY_4 = 5 if AVX512 else 2
ROWS_BY_2 = 6
ROWS_BY_1 = 8


@kernel
def add_product(a, row, column, jump, runs, b, c):
    """C += A B in place, where A[i, s, p] = a[i * row + s * jump + p * column] and (s, p) together number B's rows.

    a: flat; b: (k, n); c: (m, n), both C-contiguous. s = 0 .. runs - 1, p = 0 .. k / runs - 1. The three strides let
    one routine serve A B (row = k, column = 1, one run), A^T B (row = 1, column = m) and a convolution, whose patches
    are overlapping pieces of the image and have a run for each image row. runs >= 1 divides k.

    The columns of C are cut into panels, 4, 2 or 1 vectors wide, or 8 where there is but one row.
    """
    m, n = c.shape
    j = 0
    if m == 1:
        while n - j >= 8 * LANES:
            tile_product(1, 8, a, 0, row, column, jump, runs, b, j, n, c, j)
            j += 8 * LANES
    while n - j >= 4 * LANES:
        panel_of_four(a, row, column, jump, runs, b, c, j)
        j += 4 * LANES
    while n - j >= 2 * LANES:
        panel_of_two(a, row, column, jump, runs, b, c, j)
        j += 2 * LANES
    while n - j >= LANES:
        panel_of_one(a, row, column, jump, runs, b, c, j)
        j += LANES
    if j < n:
        narrow_panel(a, row, column, jump, runs, b, c, j)


@kernel
def panel_of_four(a, row, column, jump, runs, b, c, j):
    """Four vectors of columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= ROWS_BY_4:
        tile_product(ROWS_BY_4, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += ROWS_BY_4
    while m - i >= 2:
        tile_product(2, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 2
    if i < m:
        tile_product(1, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)


@kernel
def panel_of_two(a, row, column, jump, runs, b, c, j):
    """Two vectors of columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= ROWS_BY_2:
        tile_product(ROWS_BY_2, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += ROWS_BY_2
    while m - i >= 3:
        tile_product(3, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 3
    while i < m:
        tile_product(1, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 1


@kernel
def panel_of_one(a, row, column, jump, runs, b, c, j):
    """One vector of columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= ROWS_BY_1:
        tile_product(ROWS_BY_1, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += ROWS_BY_1
    while m - i >= 4:
        tile_product(4, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 4
    while i < m:
        tile_product(1, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 1


@kernel
def narrow_panel(a, row, column, jump, runs, b, c, j):
    """The columns of C from j on, fewer than a vector has lanes: those of the heads, above all."""
    m, n = c.shape
    i = 0
    while m - i >= ROWS_BY_1:
        tile_product(ROWS_BY_1, 0, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += ROWS_BY_1
    while m - i >= 4:
        tile_product(4, 0, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 4
    while i < m:
        tile_product(1, 0, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 1


@kernel
def add_product_transposed(a, b, c):
    """C += A B^T in place: dot products of rows. a: (m, n); b: (k, n); c: (m, k), all C-contiguous.

    Tiles cover C where n is a multiple of LANES, but for the last k % LANES columns; plain loops do the rest.
    """
    m, n = a.shape
    k = b.shape[0]
    tiled = k - k % LANES if n % LANES == 0 else 0
    i = 0
    while m - i >= 4:
        for j in range(0, tiled, LANES // 4):
            tile_product_transposed(4, a, i, b, j, c)
        i += 4
    while i < m:
        for j in range(0, tiled, LANES):
            tile_product_transposed(1, a, i, b, j, c)
        i += 1
    for i in range(m):
        for j in range(tiled, k):
            for p in range(n):
                c[i, j] += a[i, p] * b[j, p]
