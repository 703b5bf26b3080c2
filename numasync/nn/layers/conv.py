"""The convolution, forward and backward, on the image as it lies: no im2col copy. Which tiles cover it.

Shapes, here as in `layers.py`: x and y are rows of a segment, one row a time step, and an image is (height, width,
channels), so that one line of a patch is a run of kernel * channels numbers.
"""

from numasync.nn.layers.all_layers import add_rows, fill, fill_rows
from numasync.nn.products.codegen import LANES
from numasync.nn.products.conv_tile import tile_convolution, tile_convolution_weights
from numasync.nn.products.gemm import ADJACENT, FIRST, NO_JUMP, ONE_RUN, add_product, cover_columns, transpose
from numasync.nn.products.views import matrix_at, vector_at
from numasync.runtime.jit import AVX512, FLOAT, kernel

# For patches two and three cells wide: how many places one above the other share a load (see `convolution_tile.py`), and
# how many numbers of a cell are in a tile of the weights' gradient. As many sums as there are registers for, 32 or 16.
DOWN_IN_TWOS, DOWN_IN_THREES = (2 if AVX512 else 1), 1
NUMBERS_IN_TWOS, NUMBERS_IN_THREES = 6, (6 if AVX512 else 4)
FEWER_NUMBERS = 4

# Patches side by side in a tile: an output line of the usual networks is 20, 9 or 8 patches long.
PATCHES = (10, 9, 8)

# Patches whose share of the weights' gradient is summed before that of the next: 200 of the paper's first convolution,
# of which a tile reads one line in four, and their dy fill half of the innermost cache.
BAND = 200


@kernel
def conv_forward(x, image, kernel_size, stride, weight, bias, y):
    """y[oy, ox] = b + sum over (ky, kx, c) of x[oy stride + ky, ox stride + kx, c] W[ky, kx, c].

    x: (rows, height * width * channels); image: (height, width, channels); weight: (kernel * kernel * channels,
    filters), rows ordered (ky, kx, c); bias: (filters,); y: (rows, out_height * out_width * filters). No padding.

    The patches of one output line are rows of a matrix that overlap in memory, stride * channels apart: the convolution
    is a product. Where tiles know how the patches overlap, they take as many filters as fill whole vectors.
    """
    out_height, out_width = output_size(image, kernel_size, stride)
    line, step, filters = image[1] * image[2], stride * image[2], bias.size
    geometry, out = (line, step, stride, kernel_size), (out_height, out_width, filters)
    across = cells_across(kernel_size, stride, out_width)
    tiled = filters - filters % LANES if across > 1 and whole_tiles(out_width) else FIRST
    if tiled < filters:
        fill_rows(bias, matrix_at(y, 0, y.size // filters, filters))
    for r in range(x.shape[0]):
        image_r, y_r = vector_at(x, r * x.shape[1], x.shape[1]), vector_at(y, r * y.shape[1], y.shape[1])
        for j in range(0, tiled, LANES):
            if across == 2:
                cover_in_twos(image_r, geometry, weight, bias, j, y_r, out)
            else:
                cover_in_threes(image_r, geometry, weight, bias, j, y_r, out)
        if tiled < filters:
            for oy in range(out_height):
                patches = vector_at(image_r, oy * stride * line, kernel_size * line)
                y_line = vector_at(y_r, oy * out_width * filters, out_width * filters)
                cover_columns(out_width, patches, step, ADJACENT, line, kernel_size, weight, tiled, y_line, filters)


@kernel
def cells_across(kernel_size, stride, out_width):
    """How many cells of stride * stride a patch is wide, if there are tiles for it: 2 or 3, else 1."""
    for across in (2, 3):
        if kernel_size == across * stride and out_width >= across:
            return across
    return 1


@kernel
def whole_tiles(out_width):
    """Whether tiles of one of PATCHES fill an output line."""
    most, fewer, least = PATCHES
    return out_width % most == 0 or out_width % fewer == 0 or out_width % least == 0


def cover(across, down):
    """The kernel of a vector of filters, from j on, of the Y of one image. The sizes of a tile are literals for
    the compiler: hence a kernel for each `across`."""
    most, fewer, least = PATCHES

    @kernel
    def cover_image(x, geometry, w, bias, j, y, out):
        out_width, filters = out[1], out[2]
        step = geometry[1]
        if out_width % most == 0:
            for ox in range(0, out_width, most):
                tile_convolution(most, across, down, x, ox * step, geometry, w, bias, j, y, ox * filters + j, out)
        elif out_width % fewer == 0:
            for ox in range(0, out_width, fewer):
                tile_convolution(fewer, across, down, x, ox * step, geometry, w, bias, j, y, ox * filters + j, out)
        else:
            for ox in range(0, out_width, least):
                tile_convolution(least, across, down, x, ox * step, geometry, w, bias, j, y, ox * filters + j, out)

    return cover_image


cover_in_twos, cover_in_threes = cover(2, DOWN_IN_TWOS), cover(3, DOWN_IN_THREES)


@kernel
def conv_backward(x, image, kernel_size, stride, weight, dy, dweight, dbias, dx, work):
    """Backward of `conv_forward`, same shapes: the same products, with the roles of the three matrices exchanged.

    `dx` of size 0 is not computed (the first layer). work: as large as W / kernel; overwritten.
    """
    conv_backward_parameters(x, image, kernel_size, stride, dy, dweight, dbias)
    if dx.size > 0:
        conv_backward_inputs(image, kernel_size, stride, weight, dy, dx, work)


@kernel
def conv_backward_parameters(x, image, kernel_size, stride, dy, dweight, dbias):
    """dW[ky] += patches^T dy, db += sum of dy over patches, of a band of output lines at a time, which stays in the
    innermost cache."""
    filters = dbias.size
    out_height, out_width = output_size(image, kernel_size, stride)
    line, step = image[1] * image[2], stride * image[2]
    geometry = line, step, stride, kernel_size
    across = cells_across(kernel_size, stride, out_width)
    tiled = filters - filters % LANES if across > 1 else FIRST
    band = max(BAND // out_width, 1)
    flat = vector_at(dweight, 0, dweight.size)
    for r in range(x.shape[0]):
        for oy in range(0, out_height, band):
            out = min(band, out_height - oy), out_width, filters
            at, dy_at = r * x.shape[1] + oy * stride * line, r * dy.shape[1] + oy * out_width * filters
            lines, dout = vector_at(x, at, x.size - at), vector_at(dy, dy_at, out[0] * out_width * filters)
            add_rows(matrix_at(dout, 0, out[0] * out_width, filters), dbias)
            for j in range(0, tiled, LANES):
                if across == 2:
                    cover_weights_in_twos(lines, geometry, dout, j, out, flat)
                else:
                    cover_weights_in_threes(lines, geometry, dout, j, out, flat)
            if tiled < filters:
                add_weights(lines, geometry, image[2], dout, tiled, out, flat)


def cover_weights(across, down, most, fewer):
    """The kernel that adds the share of a band of output lines to a vector of columns, from j on, of dW."""

    @kernel
    def cover_band(x, geometry, dy, j, out, dw):
        line, step, stride, kernel_size = geometry
        filters = out[2]
        for ky in range(stride if down > 1 else kernel_size):
            p = 0
            while p < step:
                left, at, dw_at = step - p, ky * line + p, (ky * across * step + p) * filters + j
                # Eight or nine are two tiles of four, and one more, rather than one of six and two or three more.
                if left >= most and left != 8 and left != 9:
                    tile_convolution_weights(most, across, down, x, at, geometry, dy, j, out, dw, dw_at)
                    p += most
                elif left >= fewer:
                    tile_convolution_weights(fewer, across, down, x, at, geometry, dy, j, out, dw, dw_at)
                    p += fewer
                else:
                    tile_convolution_weights(1, across, down, x, at, geometry, dy, j, out, dw, dw_at)
                    p += 1

    return cover_band


cover_weights_in_twos = cover_weights(2, DOWN_IN_TWOS, NUMBERS_IN_TWOS, FEWER_NUMBERS)
cover_weights_in_threes = cover_weights(3, DOWN_IN_THREES, NUMBERS_IN_THREES, FEWER_NUMBERS)


@kernel
def add_weights(lines, geometry, channels, dout, j, out, dweight):
    """The share of a band of output lines in dW from column j on, as products: a run for each output line."""
    line, step, stride, kernel_size = geometry
    out_height, out_width, filters = out
    run, rows = kernel_size * channels, matrix_at(dout, 0, out_height * out_width, filters)
    for ky in range(kernel_size):
        from_ky = vector_at(lines, ky * line, lines.size - ky * line)
        dweight_rows = vector_at(dweight, ky * run * filters, run * filters)
        cover_columns(run, from_ky, ADJACENT, step, stride * line, out_height, rows, j, dweight_rows, filters)


@kernel
def conv_backward_inputs(image, kernel_size, stride, weight, dy, dx, work):
    """dx = sum over all patches of dpatch = dy W^T, where overlapping patches add up.

    Neighbouring patches overlap, so their rows must not be updated together: only every `apart`-th patch of a row is.
    """
    out_height, out_width = output_size(image, kernel_size, stride)
    line, step, filters = image[1] * image[2], stride * image[2], weight.shape[1]
    run = kernel_size * image[2]
    apart = (kernel_size - 1) // stride + 1
    transposed = matrix_at(work, 0, filters, run)
    fill(dx, FLOAT(0))
    for ky in range(kernel_size):
        transpose(matrix_at(weight, ky * run * filters, run, filters), transposed)
        for r in range(dx.shape[0]):
            for oy in range(out_height):
                for ox in range(min(apart, out_width)):
                    dout = vector_at(dy, r * dy.shape[1] + (oy * out_width + ox) * filters, (out_width - ox) * filters)
                    at = (oy * stride + ky) * line + ox * step
                    dpatches = vector_at(dx, r * dx.shape[1] + at, dx.shape[1] - at)
                    patches = (out_width - ox + apart - 1) // apart
                    add_product(
                        patches, dout, apart * filters, ADJACENT, NO_JUMP, ONE_RUN, transposed, dpatches, apart * step
                    )


@kernel
def output_size(image, kernel_size, stride):
    """(out_height, out_width) of a convolution."""
    return (image[0] - kernel_size) // stride + 1, (image[1] - kernel_size) // stride + 1
