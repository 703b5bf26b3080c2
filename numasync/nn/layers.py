"""The layers: each forward, and its backward right below it.

Images are stored channels last, (height, width, channels), so that a patch of one image row is one contiguous run and
the products run over channels. x and y are rows of a segment, one row a time step. `d` + name is the gradient of
name. Gradients of parameters are added to (the caller clears them); gradients of activations are written, because
each activation feeds one layer only.
"""

from numasync.jit import FLOAT, kernel
from numasync.nn.gemm import add_product, add_product_transposed


@kernel
def dense_forward(x, weight, bias, y):
    """y = x W + b. x: (rows, inputs); weight: (inputs, units); bias: (units,); y: (rows, units)."""
    y[:] = bias
    add_product(x.reshape(x.size), x.shape[1], 1, 0, 1, weight, y)


@kernel
def dense_backward(x, weight, dy, dweight, dbias, dx):
    """dW += x^T dy, db += sum of dy over rows, dx = dy W^T. `dx` of size 0 is not computed (the first layer)."""
    add_product(x.reshape(x.size), 1, x.shape[1], 0, 1, dy, dweight)
    add_rows(dy, dbias)
    if dx.size > 0:
        dx[:] = FLOAT(0)
        add_product_transposed(dy, weight, dx)


@kernel
def conv_forward(x, image, kernel_size, stride, weight, bias, y):
    """y[oy, ox] = b + sum over (ky, kx, c) of x[oy stride + ky, ox stride + kx, c] W[ky, kx, c].

    x: (rows, height * width * channels); image: (height, width, channels); weight: (kernel * kernel * channels,
    filters), rows ordered (ky, kx, c); bias: (filters,); y: (rows, out_height * out_width * filters). No padding.

    For one output row, the patches of all ox are rows of a matrix that overlap in memory, stride * channels apart,
    and a patch is a run of kernel * channels numbers in each of `kernel` image rows. So the convolution is a product
    on the image as it lies: no im2col copy.
    """
    height, width, channels = image
    out_height = (height - kernel_size) // stride + 1
    out_width = (width - kernel_size) // stride + 1
    for r in range(x.shape[0]):
        out = y[r].reshape(out_height * out_width, bias.size)
        out[:] = bias
        for oy in range(out_height):
            out_row = out[oy * out_width : (oy + 1) * out_width]
            patches = x[r, oy * stride * width * channels :]
            add_product(patches, stride * channels, 1, width * channels, kernel_size, weight, out_row)


@kernel
def conv_backward(x, image, kernel_size, stride, weight, dy, dweight, dbias, dx):
    """Backward of `conv_forward`, same shapes: the same products, with the roles of the three matrices exchanged.

    dW[ky] += patches^T dy, one sum over the whole image, and dpatches = dy W[ky]^T, where overlapping patches add up
    in dx. `dx` of size 0 is not computed (the first layer).
    """
    height, width, channels = image
    run = kernel_size * channels
    filters = dbias.size
    out_height = (height - kernel_size) // stride + 1
    out_width = (width - kernel_size) // stride + 1
    if dx.size > 0:
        dx[:] = FLOAT(0)
    for r in range(x.shape[0]):
        dout = dy[r].reshape(out_height * out_width, filters)
        add_rows(dout, dbias)
        for ky in range(kernel_size):
            weights = slice(ky * run, (ky + 1) * run)
            image_rows = x[r, ky * width * channels :]
            down = stride * width * channels
            add_product(image_rows, 1, stride * channels, down, out_height, dout, dweight[weights])
            if dx.size > 0:
                # One patch at a time: neighbouring patches overlap, so their rows must not be updated together.
                for i in range(out_height * out_width):
                    at = (i // out_width * stride + ky) * width * channels + i % out_width * stride * channels
                    dpatch = dx[r, at : at + run].reshape(1, run)
                    add_product_transposed(dout[i : i + 1], weight[weights], dpatch)


@kernel
def relu_forward(y):
    """y = max(y, 0), in place. y: (rows, units)."""
    flat = y.reshape(y.size)
    for i in range(flat.size):
        flat[i] = max(flat[i], FLOAT(0))


@kernel
def relu_backward(y, dy):
    """dy = dy where y > 0, else 0, in place: the sign of the output says whether the input was positive."""
    flat = y.reshape(y.size)
    dflat = dy.reshape(dy.size)
    for i in range(flat.size):
        if flat[i] <= FLOAT(0):
            dflat[i] = FLOAT(0)


@kernel
def add_rows(rows, total):
    """total += sum of the rows. rows: (n, width); total: (width,)."""
    for r in range(rows.shape[0]):
        for j in range(total.size):
            total[j] += rows[r, j]
