"""The two matrix products that every layer stands on, in plain register-blocked loops.

Numba and LLVM turn the innermost loop over columns into vector instructions. What is left to the author is to reuse
what has been loaded: a block of four rows of C takes four rows of B at a time, so that each loaded value of B serves
four multiply-adds and each value of C is read and written once for four.
"""

from numasync.jit import kernel


@kernel
def add_product(a, row, column, b, c):
    """C += A B in place, where A[i, p] = a[i * row + p * column].

    a: flat; b: (k, n); c: (m, n), both C-contiguous. The two strides let one routine serve A B (row = k, column = 1),
    A^T B (row = 1, column = m) and a convolution, whose patches are overlapping rows of the image.
    """
    m = c.shape[0]
    m4 = m - m % 4
    for i in range(0, m4, 4):
        four_rows(a, i * row, row, column, b, c[i], c[i + 1], c[i + 2], c[i + 3])
    for i in range(m4, m):
        one_row(a, i * row, column, b, c[i])


@kernel
def four_rows(a, at, row, column, b, c0, c1, c2, c3):
    """Four rows of C at once, four terms of the sum at a time: sixteen values of A are held in registers."""
    k, n = b.shape
    k4 = k - k % 4
    for p in range(0, k4, 4):
        b0, b1, b2, b3 = b[p], b[p + 1], b[p + 2], b[p + 3]
        a00, a01, a02, a03 = four_terms(a, at + p * column, column)
        a10, a11, a12, a13 = four_terms(a, at + row + p * column, column)
        a20, a21, a22, a23 = four_terms(a, at + 2 * row + p * column, column)
        a30, a31, a32, a33 = four_terms(a, at + 3 * row + p * column, column)
        for j in range(n):
            x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
            c0[j] += a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
            c1[j] += a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
            c2[j] += a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
            c3[j] += a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3
    for p in range(k4, k):
        b0 = b[p]
        o = at + p * column
        a0, a1, a2, a3 = four_terms(a, o, row)
        for j in range(n):
            c0[j] += a0 * b0[j]
            c1[j] += a1 * b0[j]
            c2[j] += a2 * b0[j]
            c3[j] += a3 * b0[j]


@kernel
def one_row(a, at, column, b, c0):
    """What is left when the rows of C are not a multiple of four; all of it when a single observation is acted on."""
    k, n = b.shape
    k4 = k - k % 4
    for p in range(0, k4, 4):
        b0, b1, b2, b3 = b[p], b[p + 1], b[p + 2], b[p + 3]
        a0, a1, a2, a3 = four_terms(a, at + p * column, column)
        for j in range(n):
            c0[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]
    for p in range(k4, k):
        b0 = b[p]
        a0 = a[at + p * column]
        for j in range(n):
            c0[j] += a0 * b0[j]


@kernel
def four_terms(a, at, step):
    return a[at], a[at + step], a[at + 2 * step], a[at + 3 * step]


@kernel
def add_product_transposed(a, b, c):
    """C += A B^T in place: dot products of rows. a: (m, n); b: (k, n); c: (m, k), all C-contiguous."""
    m, k = c.shape
    n = a.shape[1]
    k4 = k - k % 4
    for i in range(m):
        a0, c0 = a[i], c[i]
        for p in range(0, k4, 4):
            b0, b1, b2, b3 = b[p], b[p + 1], b[p + 2], b[p + 3]
            s0, s1, s2, s3 = c0[p], c0[p + 1], c0[p + 2], c0[p + 3]
            for j in range(n):
                x = a0[j]
                s0 += x * b0[j]
                s1 += x * b1[j]
                s2 += x * b2[j]
                s3 += x * b3[j]
            c0[p], c0[p + 1], c0[p + 2], c0[p + 3] = s0, s1, s2, s3
        for p in range(k4, k):
            b0 = b[p]
            s0 = c0[p]
            for j in range(n):
                s0 += a0[j] * b0[j]
            c0[p] = s0
