"""Measure the matrix products of the paper's network and of MinAtar's, as `nn/products/` computes them.

There are three kinds: A B, A^T B for the gradient of a weight, and A B^T for the gradient of an input. A small B is
transposed first, A (B^T), and the transposition is part of the time. The products of a convolution are those on an
explicit im2col matrix.
"""

import numpy as np

from numasync.runtime.jit import FLOAT
from numasync.tools.bench.comparison import Comparison, compare, random_array, repeat
from numasync.tools.bench.repeated import (
    repeat_matmul,
    repeat_matmul_tn,
    repeat_product_nt,
    repeat_transposed_product_nt,
)
from numasync.tools.bench.section import Options, Section

# Name and kind. Then: rows of the result, terms of each sum, columns of the result.
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


def measure(options: Options) -> Section:
    """Compare each of PRODUCTS with NumPy."""
    return compare([product_comparison(*product) for product in PRODUCTS], options)


def product_comparison(name: str, kind: str, m: int, k: int, n: int) -> Comparison:
    """Return the Comparison of C = A B, (m, k) by (k, n). Both sides write into one C.

    name     the product's name in the table of results
    kind     'A B', 'A^T B', 'A B^T' or 'A (B^T)'; with ^T the matrix lies in memory as its transpose
    m, k, n  rows of the result, terms of each sum, columns of the result
    """
    labels = {"product": name, "shape": f"{m}x{k}x{n}"}
    a = random_array(k, m) if kind == "A^T B" else random_array(m, k)
    b = random_array(n, k) if kind in ("A B^T", "A (B^T)") else random_array(k, n)
    c = random_array(m, n)
    if kind == "A B^T":
        return Comparison(labels, repeat(repeat_product_nt, c, a, b), [(a, b.T, c)])
    if kind == "A (B^T)":
        work = np.zeros(b.size, FLOAT)
        return Comparison(labels, repeat(repeat_transposed_product_nt, c, a, b, work), [(a, b.T, c)])
    if kind == "A^T B":
        return Comparison(labels, repeat(repeat_matmul_tn, c, a, b), [(a.T, b, c)])
    return Comparison(labels, repeat(repeat_matmul, c, a, b), [(a, b, c)])
