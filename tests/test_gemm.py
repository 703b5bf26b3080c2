"""The two matrix products against their twins, over shapes that hit every block and remainder."""

import naive
import numpy as np
import pytest

from numasync.nn.gemm import add_product, add_product_transposed

# (m, k, n): four rows and four terms a block, so 1, 3, 4, 5, 7, 8 and 9 cover no block, a block and what is left over.
SHAPES = [
    (1, 1, 1),
    (1, 4, 1),
    (1, 7, 5),
    (3, 3, 2),
    (4, 4, 4),
    (4, 3, 1),
    (5, 1, 9),
    (5, 8, 3),
    (7, 9, 1),
    (8, 4, 16),
    (9, 13, 6),
]
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
shapes = pytest.mark.parametrize("m, k, n", SHAPES)


@pytest.fixture
def draw(dtype):
    generator = np.random.default_rng(1)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def layout(name, m, k):
    """(row, column) strides of an (m, k) matrix A in a flat array."""
    return {"plain": (k, 1), "transposed": (1, m), "overlapping": (2, 1), "spread": (2 * k + 1, 2)}[name]


@dtypes
@shapes
@pytest.mark.parametrize("name", ["plain", "transposed", "overlapping", "spread"])
def test_add_product(draw, dtype, m, k, n, name):
    row, column = layout(name, m, k)
    a = draw((m - 1) * row + (k - 1) * column + 1)  # not one element more than A needs
    b, c = draw(k, n), draw(m, n)
    expected = naive.add_product(a, row, column, b, c)
    add_product(a, row, column, b, c)
    naive.assert_close(c, expected)


@dtypes
@shapes
def test_add_product_transposed(draw, dtype, m, k, n):
    a, b, c = draw(m, n), draw(k, n), draw(m, k)
    expected = naive.add_product_transposed(a, b, c)
    add_product_transposed(a, b, c)
    naive.assert_close(c, expected)


@dtypes
def test_twins_are_the_matrix_products(draw, dtype):
    a, b, c = draw(5, 6), draw(6, 7), draw(5, 7)
    naive.assert_close(naive.add_product(a.reshape(30), 6, 1, b, c), c + a @ b)
    naive.assert_close(naive.add_product(a.T.copy().reshape(30), 1, 5, b, c), c + a @ b)
    naive.assert_close(naive.add_product_transposed(a, b.T.copy(), c), c + a @ b)
