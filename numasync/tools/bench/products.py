"""The matrix products of the paper's network and of MinAtar's, by the routines of `nn/gemm.py`: A B, A^T B for a
weight's gradient and A B^T for an input's, where a small B is transposed first, in the measured time. The products of
convolutions are those on an explicit im2col matrix."""

import numpy as np

from numasync.runtime.jit import FLOAT
from numasync.tools.bench.contest import Contest, contests, numbers, repeated
from numasync.tools.bench.repeated import (
    repeat_product,
    repeat_product_transposed,
    repeat_product_transposing,
    repeat_row_product,
)

# Rows of the result, terms of each sum, columns of the result.
PRODUCTS = (
    ("paper conv1", "A B", 400, 256, 16),
    ("paper conv1, weights", "A^T B", 256, 400, 16),
    ("paper conv2", "A B", 81, 256, 32),
    ("paper conv2, weights", "A^T B", 256, 81, 32),
    ("paper conv2, inputs", "A (B^T)", 81, 32, 256),
    ("paper dense, 1 row", "A B", 1, 2592, 256),
    ("paper dense, 5 rows", "A B", 5, 2592, 256),
    ("paper dense, 20 rows", "A B", 20, 2592, 256),
    ("paper dense, weights, 1 row", "A^T B", 2592, 1, 256),
    ("paper dense, weights, 5 rows", "A^T B", 2592, 5, 256),
    ("paper dense, weights, 20 rows", "A^T B", 2592, 20, 256),
    ("paper dense, inputs, 1 row", "A B^T", 1, 256, 2592),
    ("paper dense, inputs, 5 rows", "A B^T", 5, 256, 2592),
    ("paper dense, inputs, 20 rows", "A B^T", 20, 256, 2592),
    ("MinAtar conv1", "A B", 64, 36, 16),
    ("MinAtar conv1, weights", "A^T B", 36, 64, 16),
)


def measure(options):
    return contests([product(*entry) for entry in PRODUCTS], options)


def product(name, kind, m, k, n):
    """The Contest of C = A B, (m, k) by (k, n); in A^T B and A B^T one matrix lies in memory as its transpose. Both
    sides write into one C."""
    labels = {"product": name, "shape": f"{m}x{k}x{n}"}
    a = numbers(k, m) if kind == "A^T B" else numbers(m, k)
    b = numbers(n, k) if kind in ("A B^T", "A (B^T)") else numbers(k, n)
    c = numbers(m, n)
    if kind == "A B^T":
        return Contest(labels, repeated(repeat_product_transposed, a, b, c), [(a, b.T, c)])
    if kind == "A (B^T)":
        return Contest(labels, repeated(repeat_product_transposing, a, b, c, np.zeros(b.size, FLOAT)), [(a, b.T, c)])
    if kind == "A^T B":
        return Contest(labels, repeated(repeat_product, m, a.ravel(), 1, m, b, c.ravel()), [(a.T, b, c)])
    if m == 1:
        return Contest(labels, repeated(repeat_row_product, a.ravel(), b, c.ravel()), [(a, b, c)])
    return Contest(labels, repeated(repeat_product, m, a.ravel(), k, 1, b, c.ravel()), [(a, b, c)])
