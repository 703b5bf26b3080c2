"""Views into flat arrays: compiled, they are what slicing and reshaping give. Pointers serve as arrays."""

import numpy as np
import pytest

from numasync.nn.products.views import matrix_at, row_at, vector_at, vector_of
from numasync.runtime.jit import int64, kernel, pointer_kernel
from numasync.runtime.pointers import address_of, call_at, pointer_to

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])


@kernel
def double_vector(array, at, size):
    view = vector_at(array, at, size)
    for i in range(view.size):
        view[i] *= 2


@kernel
def double_matrix(array, at, rows, columns):
    view = matrix_at(array, at, rows, columns)
    for i in range(view.shape[0]):
        for j in range(view.shape[1]):
            view[i, j] *= 1 + i + 10 * j


@kernel
def double_all(array):
    view = vector_of(array)
    for i in range(view.size):
        view[i] *= 2


@kernel
def double_row(matrix, i):
    view = row_at(matrix, i)
    for j in range(view.size):
        view[j] *= 2


@kernel
def facts(array, at, rows, columns):
    view = matrix_at(array, at, rows, columns)
    return view.shape, view.size, view.strides, view[rows - 1, columns - 1]


@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4)])
@dtypes
def test_a_view_writes_into_its_array(shape, dtype):
    array = np.arange(1, 25, dtype=dtype).reshape(shape)
    expected = array.copy().reshape(-1)
    expected[5:9] *= 2
    double_vector(array, 5, 4)
    np.testing.assert_array_equal(array.reshape(-1), expected)

    expected[3:9] *= np.array([1, 11, 21, 2, 12, 22], dtype)
    double_matrix(array, 3, 2, 3)
    np.testing.assert_array_equal(array.reshape(-1), expected)

    double_all(array)
    np.testing.assert_array_equal(array.reshape(-1), 2 * expected)


@dtypes
def test_a_row_of_a_matrix(dtype):
    array = np.arange(1, 13, dtype=dtype).reshape(3, 4)
    expected = array.copy()
    expected[1] *= 2
    double_row(array, 1)
    np.testing.assert_array_equal(array, expected)


def test_shape_size_and_strides():
    array = np.arange(24, dtype=np.float32)
    assert facts(array, 4, 3, 5) == ((3, 5), 15, (20, 4), 18)
    assert facts(array, np.int64(4), np.int32(3), 5) == ((3, 5), 15, (20, 4), 18)


def test_an_empty_view():
    array = np.ones(3)
    double_vector(array, 3, 0)
    double_matrix(array, 0, 0, 7)
    np.testing.assert_array_equal(array, 1)


@pointer_kernel
def add_product(total, x, rows, columns):
    matrix, sums = matrix_at(x, 0, rows, columns), vector_at(total, 1, columns)
    for i in range(rows):
        for j in range(columns):
            sums[j] += matrix[i, j]


@kernel
def add_at(address, total, x):
    call_at(address, (total, x, x.shape[0], x.shape[1]))


@dtypes
def test_a_pointer_serves_as_an_array(dtype):
    x, total = np.arange(6, dtype=dtype).reshape(2, 3), np.ones(5, dtype)
    address = address_of(add_product, pointer_to(dtype), pointer_to(dtype), int64, int64)
    for _ in range(2):
        add_at(address, total, x)
    np.testing.assert_array_equal(total, [1, 1 + 2 * 3, 1 + 2 * 5, 1 + 2 * 7, 1])


@pytest.mark.compiled
def test_a_kernel_has_an_address_for_each_dtype():
    def address(dtype):
        return address_of(add_product, pointer_to(dtype), pointer_to(dtype), int64, int64)

    addresses = [address(dtype) for dtype in (np.float32, np.float64, np.int64)]
    assert len(set(addresses)) == 3
    assert addresses == [address(dtype) for dtype in (np.float32, np.float64, np.int64)]


def test_python_calls_them_as_they_are():
    array = np.arange(12.0).reshape(3, 4)
    assert np.shares_memory(vector_at(array, 2, 3), array) and vector_at(array, 2, 3).tolist() == [2, 3, 4]
    assert matrix_at(array, 1, 2, 3).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.compiled
def test_an_array_that_is_not_contiguous_is_refused():
    with pytest.raises(Exception, match="A view lies in a C-contiguous array"):
        double_vector(np.arange(8.0)[::2], 0, 1)
    with pytest.raises(Exception, match="Only C-contiguous arrays and integers are passed through an address"):
        add_at(0, np.ones(5), np.ones((4, 3))[::2])
