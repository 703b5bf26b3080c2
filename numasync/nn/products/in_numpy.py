"""The products of `matmul.py` and `conv_products.py` in NumPy, for where nothing is compiled.

Interpreted, the loops of a tile would take a thousand times as long. Each function here has the arguments of the kernel
of the same name, which says what it computes.
"""

from typing import Any

import numpy as np

Size = tuple[int, int, int]


def add_matmul(y: np.ndarray, x: np.ndarray, weight: np.ndarray) -> None:
    """y += x W."""
    y += x @ weight


def add_row_matmul(y: np.ndarray, x: np.ndarray, weight: np.ndarray) -> None:
    """y += x W for one row."""
    y += x @ weight


def add_matmul_tn(dweight: np.ndarray, x: np.ndarray, dy: np.ndarray) -> None:
    """dW += x^T dy."""
    dweight += x.T @ dy


def add_columns_matmul_tn(dweight: np.ndarray, x: np.ndarray, dy: np.ndarray) -> None:
    """dW += x[:, :inputs]^T dy."""
    dweight += x[:, : len(dweight)].T @ dy


def matmul_nt(
    dx: np.ndarray, dy: np.ndarray, weight: np.ndarray, work: np.ndarray, x: np.ndarray, x_is_relu: bool
) -> None:
    """dx = dy W^T."""
    np.matmul(dy, weight.T, out=dx)


def add_rows(total: np.ndarray, rows: np.ndarray) -> None:
    """total += sum of the rows."""
    total += rows.sum(axis=0)


def fill_rows(rows: np.ndarray, row: np.ndarray) -> None:
    """rows[r] = row, for every r."""
    rows[:] = row


def fill(array: np.ndarray, value: Any) -> None:
    """array[:] = value."""
    array[...] = value


def patches_of(x: np.ndarray, image: Size, kernel_size: int, stride: int) -> np.ndarray:
    """Return P: a row for each patch of each image, its numbers in the order (ky, kx, c)."""
    height, width, channels = image
    rows, columns = ((n - kernel_size) // stride + 1 for n in (height, width))
    number, line, step = x.itemsize, width * channels * x.itemsize, channels * x.itemsize
    shape = (len(x), rows, columns, kernel_size, kernel_size * channels)
    strides = (x.strides[0], stride * line, stride * step, line, number)
    # A view with these strides. `sliding_window_view` makes the same, and takes longer than a small product.
    patches = np.ndarray(shape, x.dtype, x, strides=strides)
    return patches.reshape(-1, kernel_size * kernel_size * channels)


def patches_matmul(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, image: Size, kernel_size: int, stride: int
) -> None:
    """Y = P W + b."""
    y[:] = (patches_of(x, image, kernel_size, stride) @ weight + bias).reshape(y.shape)


def add_patches_matmul_tn(
    dweight: np.ndarray, x: np.ndarray, dy: np.ndarray, image: Size, kernel_size: int, stride: int
) -> None:
    """dW += P^T dY."""
    dweight += patches_of(x, image, kernel_size, stride).T @ dy.reshape(-1, dweight.shape[1])


def patches_matmul_nt(
    dx: np.ndarray, dy: np.ndarray, weight: np.ndarray, work: np.ndarray, image: Size, kernel_size: int, stride: int
) -> None:
    """dX = the rows of dP = dY W^T, each added at the place of its patch."""
    height, width = ((n - kernel_size) // stride + 1 for n in image[:2])
    dpatches = (dy.reshape(-1, weight.shape[1]) @ weight.T).reshape(
        len(dx), height, width, kernel_size, kernel_size, image[2]
    )
    dimages = np.zeros((len(dx), *image), dx.dtype)
    for ky in range(kernel_size):
        for kx in range(kernel_size):
            rows, columns = slice(ky, ky + height * stride, stride), slice(kx, kx + width * stride, stride)
            dimages[:, rows, columns] += dpatches[:, :, :, ky, kx]
    dx[:] = dimages.reshape(dx.shape)
