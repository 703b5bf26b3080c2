"""The three products of a convolution, on the image as it lies: no im2col copy. This is the door for `layers/conv.py`.

P is the matrix with a row for each patch of the image. It is never built: a patch is `kernel_size` pieces of the image,
one for each line, and neighbouring patches overlap in memory.

    patches_matmul         Y   = P W + b    a patch times the filters
    add_patches_matmul_tn  dW += P^T dY     each weight meets its number of every patch
    patches_matmul_nt      dP  = dY W^T     added up in dX where patches overlap

Shapes: x and dx (rows, height * width * channels); weight (kernel * kernel * channels, filters), rows in the order (ky,
kx, c); y and dy (rows, out_height * out_width * filters). image: (height, width, channels). No padding.
"""

from typing import Any

from numasync.nn.products import in_numpy
from numasync.nn.products.conv_tile import tile_conv, tile_conv_weights
from numasync.nn.products.gemm import ADJACENT, FIRST, NO_JUMP, ONE_RUN, add_strided_product, cover_columns, transpose
from numasync.nn.products.matmul import fill, fill_rows
from numasync.nn.products.views import matrix_at, vector_at, vector_of
from numasync.runtime.jit import FLOAT, kernel, kernel_or
from numasync.runtime.vectors import LANES, MANY_REGISTERS

# For patches of 2 x 2 and 3 x 3 cells: the rows of cells that share a load (cells_y, see `conv_tile.py`), and the
# numbers of a cell in a tile of the weights' gradient. Both fill the registers with sums, 32 or 16.
CELLS_Y_2x2, CELLS_Y_3x3 = (2 if MANY_REGISTERS else 1), 1
NUMBERS_2x2, NUMBERS_3x3 = 6, (6 if MANY_REGISTERS else 4)
FEWER_NUMBERS = 4

# Patches side by side in a tile: an output line of the usual networks is 20, 9 or 8 patches long.
PATCHES = (10, 9, 8)

# The weights' gradient is summed over a band of patches at a time. 200 patches of the paper's first convolution, where
# a tile reads one line in four, and their dy fill half of the innermost cache.
BAND = 200


@kernel_or(in_numpy.patches_matmul)
def patches_matmul(y, x, weight, bias, image, kernel_size, stride):
    """Y = P W + b. bias: (filters,).

    Where tiles know how the patches overlap, they take the filters that fill whole vectors. Strided products take the
    rest: the patches of one output line are rows of a matrix, `step` numbers apart.
    """
    filters = bias.size
    geometry, out = sizes_of(image, kernel_size, stride, filters)
    line, step = geometry[0], geometry[1]
    out_height, out_width = out[0], out[1]
    cells_x = cells_of(kernel_size, stride, out_width)
    tiled = filters - filters % LANES if cells_x > 1 and fills_tiles(out_width) else FIRST
    if tiled < filters:
        fill_rows(matrix_at(y, 0, y.size // filters, filters), bias)
    for r in range(x.shape[0]):
        image_r, y_r = vector_at(x, r * x.shape[1], x.shape[1]), vector_at(y, r * y.shape[1], y.shape[1])
        for j in range(0, tiled, LANES):
            if cells_x == 2:
                cover_2x2(y_r, image_r, weight, bias, j, geometry, out)
            else:
                cover_3x3(y_r, image_r, weight, bias, j, geometry, out)
        if tiled < filters:
            strides = (step, ADJACENT, line, kernel_size)
            for oy in range(out_height):
                patches = vector_at(image_r, oy * stride * line, kernel_size * line)
                y_line = vector_at(y_r, oy * out_width * filters, out_width * filters)
                cover_columns(y_line, patches, weight, out_width, tiled, strides, filters)


@kernel_or(in_numpy.add_patches_matmul_tn)
def add_patches_matmul_tn(dweight, x, dy, image, kernel_size, stride):
    """dW += P^T dY, for a band of output lines at a time, which stays in the innermost cache."""
    filters = dweight.shape[1]
    geometry, out = sizes_of(image, kernel_size, stride, filters)
    line, out_height, out_width = geometry[0], out[0], out[1]
    cells_x = cells_of(kernel_size, stride, out_width)
    tiled = filters - filters % LANES if cells_x > 1 else FIRST
    band = max(BAND // out_width, 1)
    dweight_flat = vector_of(dweight)
    for r in range(x.shape[0]):
        for oy in range(0, out_height, band):
            out_band = min(band, out_height - oy), out_width, filters
            at, dy_at = r * x.shape[1] + oy * stride * line, r * dy.shape[1] + oy * out_width * filters
            lines, dy_band = vector_at(x, at, x.size - at), vector_at(dy, dy_at, out_band[0] * out_width * filters)
            for j in range(0, tiled, LANES):
                if cells_x == 2:
                    cover_weights_2x2(dweight_flat, lines, dy_band, j, geometry, out_band)
                else:
                    cover_weights_3x3(dweight_flat, lines, dy_band, j, geometry, out_band)
            if tiled < filters:
                add_band_of_weights(dweight_flat, lines, dy_band, tiled, image[2], geometry, out_band)


@kernel_or(in_numpy.patches_matmul_nt)
def patches_matmul_nt(dx, dy, weight, work, image, kernel_size, stride):
    """dX = the rows of dP = dY W^T, each added at the place of its patch. work: as large as W / kernel; overwritten.

    Neighbouring patches overlap, and one product must not update both: it takes every patch_step-th patch of a line.
    """
    filters = weight.shape[1]
    geometry, out = sizes_of(image, kernel_size, stride, filters)
    line, step = geometry[0], geometry[1]
    out_height, out_width = out[0], out[1]
    run = kernel_size * image[2]
    patch_step = (kernel_size - 1) // stride + 1
    strides = (patch_step * filters, ADJACENT, NO_JUMP, ONE_RUN)
    transposed = matrix_at(work, 0, filters, run)
    fill(dx, FLOAT(0))
    for ky in range(kernel_size):
        transpose(transposed, matrix_at(weight, ky * run * filters, run, filters))
        for r in range(dx.shape[0]):
            for oy in range(out_height):
                for ox in range(min(patch_step, out_width)):
                    dy_at = r * dy.shape[1] + (oy * out_width + ox) * filters
                    dx_at = r * dx.shape[1] + (oy * stride + ky) * line + ox * step
                    dy_line = vector_at(dy, dy_at, (out_width - ox) * filters)
                    dx_line = vector_at(dx, dx_at, dx.size - dx_at)
                    patches = (out_width - ox + patch_step - 1) // patch_step
                    add_strided_product(dx_line, dy_line, transposed, patches, strides, patch_step * step)


@kernel
def sizes_of(image, kernel_size, stride, filters):
    """Return geometry, (line, step, stride, kernel_size), and out, (out_height, out_width, filters)."""
    out_height, out_width = output_size(image, kernel_size, stride)
    return (image[1] * image[2], stride * image[2], stride, kernel_size), (out_height, out_width, filters)


@kernel
def output_size(image, kernel_size, stride):
    """Return (out_height, out_width) of a convolution."""
    return (image[0] - kernel_size) // stride + 1, (image[1] - kernel_size) // stride + 1


@kernel
def cells_of(kernel_size, stride, out_width):
    """Return how many cells of stride * stride a patch is wide, if there are tiles for it: 2 or 3, else 1."""
    for cells_x in (2, 3):
        if kernel_size == cells_x * stride and out_width >= cells_x:
            return cells_x
    return 1


@kernel
def fills_tiles(out_width):
    """Say whether tiles of one of PATCHES fill an output line."""
    most, fewer, least = PATCHES
    return out_width % most == 0 or out_width % fewer == 0 or out_width % least == 0


def cover(cells_x: int, cells_y: int) -> Any:
    """Return the kernel that computes a vector of filters, from j on, of Y for one image.

    The sizes of a tile are literals for the compiler: hence a kernel for each `cells_x`.
    """
    most, fewer, least = PATCHES

    @kernel
    def cover_image(y, x, w, bias, j, geometry, out):
        step = geometry[1]
        out_width, filters = out[1], out[2]
        if out_width % most == 0:
            for ox in range(0, out_width, most):
                tile_conv(y, x, w, bias, most, cells_x, cells_y, ox * filters + j, ox * step, j, geometry, out)
        elif out_width % fewer == 0:
            for ox in range(0, out_width, fewer):
                tile_conv(y, x, w, bias, fewer, cells_x, cells_y, ox * filters + j, ox * step, j, geometry, out)
        else:
            for ox in range(0, out_width, least):
                tile_conv(y, x, w, bias, least, cells_x, cells_y, ox * filters + j, ox * step, j, geometry, out)

    return cover_image


cover_2x2, cover_3x3 = cover(2, CELLS_Y_2x2), cover(3, CELLS_Y_3x3)


def cover_weights(cells_x: int, cells_y: int, most: int, fewer: int) -> Any:
    """Return the kernel that adds the share of a band of output lines to a vector of columns, from j on, of dW."""

    @kernel
    def cover_band(dw, x, dy, j, geometry, out):
        line, step, stride, kernel_size = geometry
        filters = out[2]
        for ky in range(stride if cells_y > 1 else kernel_size):
            p = 0
            while p < step:
                left, at, dw_at = step - p, ky * line + p, (ky * cells_x * step + p) * filters + j
                # Eight or nine are two tiles of four, and one more, rather than one of six and two or three more.
                if left >= most and left != 8 and left != 9:
                    tile_conv_weights(dw, x, dy, most, cells_x, cells_y, dw_at, at, j, geometry, out)
                    p += most
                elif left >= fewer:
                    tile_conv_weights(dw, x, dy, fewer, cells_x, cells_y, dw_at, at, j, geometry, out)
                    p += fewer
                else:
                    tile_conv_weights(dw, x, dy, 1, cells_x, cells_y, dw_at, at, j, geometry, out)
                    p += 1

    return cover_band


cover_weights_2x2 = cover_weights(2, CELLS_Y_2x2, NUMBERS_2x2, FEWER_NUMBERS)
cover_weights_3x3 = cover_weights(3, CELLS_Y_3x3, NUMBERS_3x3, FEWER_NUMBERS)


@kernel
def add_band_of_weights(dw, lines, dy, j, channels, geometry, out):
    """Add the share of a band of output lines to dW from column j on, as products: a run for each output line."""
    line, step, stride, kernel_size = geometry
    out_height, out_width, filters = out
    run, rows = kernel_size * channels, matrix_at(dy, 0, out_height * out_width, filters)
    strides = (ADJACENT, step, stride * line, out_height)
    for ky in range(kernel_size):
        from_ky = vector_at(lines, ky * line, lines.size - ky * line)
        dw_rows = vector_at(dw, ky * run * filters, run * filters)
        cover_columns(dw_rows, from_ky, rows, run, j, strides, filters)


def patches_matmul_nt_work(kernel_size: int, channels: int, filters: int) -> int:
    """Return how many floats `patches_matmul_nt` needs as `work`."""
    return kernel_size * channels * filters
