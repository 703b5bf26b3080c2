"""The convolution without padding, on images with the channels last.

    y[oy, ox, f] = b[f] + sum over (ky, kx, c) of x[oy stride + ky, ox stride + kx, c] W[ky, kx, c, f]

**As a product.** The numbers under the kernel at one output position are a *patch*. Let P be the matrix with a row for
each patch. Then a convolution is a dense layer on patches, and its backward is that of a dense layer:

    forward     Y  = P W + b
    backward    dW = P^T dY    db = sum of dY over the patches    dP = dY W^T

**Why overlaps add up.** One number of the image lies in several patches, so that the loss depends on it through each of
them. Its gradient is the sum of its places in dP. An image of one line with 4 numbers, a kernel of 2, a stride of 1:

    x     x0 x1 x2 x3              P = | x0 x1 |      dP = | d00 d01 |
                                       | x1 x2 |           | d10 d11 |
    y     y0 y1 y2                     | x2 x3 |           | d20 d21 |

    dx    d00   d01 + d10   d11 + d20   d21

x1 is the right number of patch 0 and the left number of patch 1: dx1 = d01 + d10.

P is never built: see `products/conv_products.py`.

x: (rows, height * width * channels), one row a step; image: (height, width, channels). W: (kernel_size * kernel_size *
channels, filters), rows in the order (ky, kx, c). b: (filters,). y: (rows, out_height * out_width * filters).
"""

from numasync.errors import InputError
from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.products.conv_products import (
    add_patches_matmul_tn,
    patches_matmul,
    patches_matmul_nt,
    patches_matmul_nt_work,
)
from numasync.nn.products.matmul import add_rows
from numasync.nn.products.views import matrix_at, vector_at
from numasync.nn.table import NEEDS_DX, OWN, bias_of, input_rows, output_rows, weight_of
from numasync.runtime.jit import inline_kernel, kernel, pointer_kernel

# A convolution's own columns of the table.
HEIGHT, WIDTH, CHANNELS, KERNEL_SIZE, STRIDE = range(OWN, OWN + 5)


@kernel
def conv_forward(y, x, weight, bias, image, kernel_size, stride):
    """Y = P W + b."""
    patches_matmul(y, x, weight, bias, image, kernel_size, stride)


@kernel
def conv_backward(dx, dweight, dbias, dy, x, weight, work, image, kernel_size, stride, needs_dx):
    """dW += P^T dY, db += sum of dY, dX = the rows of dY W^T, added up where patches overlap.

    needs_dx: dX is computed; the first layer of a network does not need it. work: as large as W / kernel_size.
    """
    add_patches_matmul_tn(dweight, x, dy, image, kernel_size, stride)
    add_rows(dbias, matrix_at(dy, 0, dy.size // dbias.size, dbias.size))
    if needs_dx:
        patches_matmul_nt(dx, dy, weight, work, image, kernel_size, stride)


@inline_kernel
def image_of(row):
    """The shape of the layer's input: (height, width, channels)."""
    return row[HEIGHT], row[WIDTH], row[CHANNELS]


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`conv_forward` for a row of the layer table."""
    y = output_rows(tape, row, capacity, first, last)
    x = input_rows(tape, obs, row, capacity, first, last)
    conv_forward(y, x, weight_of(theta, row), bias_of(theta, row), image_of(row), row[KERNEL_SIZE], row[STRIDE])


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """`conv_backward` for a row of the layer table."""
    dx, x = input_rows(dtape, obs, row, capacity, 0, n), input_rows(tape, obs, row, capacity, 0, n)
    dweight, dbias = weight_of(grad, row), bias_of(grad, row)
    dy, weight = output_rows(dtape, row, capacity, 0, n), weight_of(theta, row)
    image, kernel_size, stride = image_of(row), row[KERNEL_SIZE], row[STRIDE]
    work = vector_at(work, 0, weight.size)
    conv_backward(dx, dweight, dbias, dy, x, weight, work, image, kernel_size, stride, row[NEEDS_DX] != 0)


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """sizes: (filters, kernel_size, stride)."""
    filters, kernel_size, stride = sizes
    if len(in_shape) != 3 or min(in_shape[:2]) < kernel_size:
        raise InputError(
            f"conv({filters}, {kernel_size}) needs an input of (height, width, channels) at least as large as its "
            f"kernel, not {in_shape}; for vectors use dense layers (--network mlp)."
        )
    height, width, channels = in_shape
    out_height, out_width = ((n - kernel_size) // stride + 1 for n in (height, width))
    return Plan(
        (out_height, out_width, filters),
        weight_shape=(kernel_size, kernel_size, channels, filters),
        work_size=patches_matmul_nt_work(kernel_size, channels, filters),
        own=(height, width, channels, kernel_size, stride),
    )


CONV = LayerKind(plan, forward, backward, n_sizes=3)
