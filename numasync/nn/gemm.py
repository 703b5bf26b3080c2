"""The two matrix products that every layer stands on: which tiles cover a product. What a tile is, see `tile.py`.

A tile of r rows by v vectors needs r * v + v + 1 vector registers; an AVX-512 processor has 32. 5 x 4, 6 x 2 and 8 x 1
keep it busy: enough multiply-adds that none waits for another, and few loads for each.
"""

from numasync.jit import kernel
from numasync.nn.tile import LANES, tile_product, tile_product_transposed


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
    """64 columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= 5:
        tile_product(5, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 5
    while m - i >= 2:
        tile_product(2, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 2
    if i < m:
        tile_product(1, 4, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)


@kernel
def panel_of_two(a, row, column, jump, runs, b, c, j):
    """32 columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= 6:
        tile_product(6, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 6
    while m - i >= 3:
        tile_product(3, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 3
    while i < m:
        tile_product(1, 2, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 1


@kernel
def panel_of_one(a, row, column, jump, runs, b, c, j):
    """16 columns of C from column j on, the most rows at a time that the registers hold."""
    m, n = c.shape
    i = 0
    while m - i >= 8:
        tile_product(8, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 8
    while m - i >= 4:
        tile_product(4, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 4
    while i < m:
        tile_product(1, 1, a, i * row, row, column, jump, runs, b, j, n, c, i * n + j)
        i += 1


@kernel
def narrow_panel(a, row, column, jump, runs, b, c, first):
    """The last columns, fewer than a vector has lanes: those of the heads, above all."""
    m, n = c.shape
    terms = b.shape[0] // runs
    for i in range(m):
        for s in range(runs):
            for p in range(terms):
                x = a[i * row + s * jump + p * column]
                for j in range(first, n):
                    c[i, j] += x * b[s * terms + p, j]


@kernel
def add_product_transposed(a, b, c):
    """C += A B^T in place: dot products of rows. a: (m, n); b: (k, n); c: (m, k), all C-contiguous.

    Tiles cover C where n is a multiple of 16, but for the last k % 16 columns; plain loops do the rest.
    """
    m, n = a.shape
    k = b.shape[0]
    tiled = k - k % LANES if n % LANES == 0 else 0
    i = 0
    while m - i >= 4:
        for j in range(0, tiled, 4):
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
