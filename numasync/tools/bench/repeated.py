"""Kernels in a loop. Compiled code calls compiled code, as in training, so that the one call from Python hardly counts.

The first argument of each is `times`, how often the kernel is called. The others are the arguments of that kernel.
"""

from numasync.learner.loop import apply_gradient
from numasync.learner.optim import clip_scale, gradient_norm, sum_squares
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.layers.dense import dense_backward, dense_forward
from numasync.nn.passes import backward, forward
from numasync.nn.products.gemm import ADJACENT, NO_JUMP, ONE_RUN, add_product_nt, add_strided_product, transpose
from numasync.nn.products.matmul import add_matmul, add_matmul_tn
from numasync.nn.products.views import matrix_at, vector_of
from numasync.runtime.jit import kernel


@kernel
def repeat_matmul(times, y, x, weight):
    for _ in range(times):
        add_matmul(y, x, weight)


@kernel
def repeat_matmul_tn(times, dweight, x, dy):
    for _ in range(times):
        add_matmul_tn(dweight, x, dy)


@kernel
def repeat_product_nt(times, c, a, b):
    for _ in range(times):
        add_product_nt(c, a, b, c, False)


@kernel
def repeat_transposed_product_nt(times, c, a, b, work):
    """C += A B^T with a transposed copy of B: the gradient of the inputs of convolutions and heads."""
    transposed = matrix_at(work, 0, b.shape[1], b.shape[0])
    strides = (a.shape[1], ADJACENT, NO_JUMP, ONE_RUN)
    for _ in range(times):
        transpose(transposed, b)
        add_strided_product(vector_of(c), vector_of(a), transposed, a.shape[0], strides, c.shape[1])


@kernel
def repeat_dense_forward(times, y, x, weight, bias):
    for _ in range(times):
        dense_forward(y, x, weight, bias)


@kernel
def repeat_dense_backward(times, dx, dweight, dbias, dy, x, weight, work, needs_dx):
    for _ in range(times):
        dense_backward(dx, dweight, dbias, dy, x, weight, work, needs_dx, False)


@kernel
def repeat_conv_forward(times, y, x, weight, bias, image, kernel_size, stride):
    for _ in range(times):
        conv_forward(y, x, weight, bias, image, kernel_size, stride)


@kernel
def repeat_conv_backward(times, dx, dweight, dbias, dy, x, weight, work, needs_dx, image, kernel_size, stride):
    for _ in range(times):
        conv_backward(dx, dweight, dbias, dy, x, weight, work, image, kernel_size, stride, needs_dx)


@kernel
def repeat_forward(times, tape, obs, theta, table, first, last):
    for _ in range(times):
        forward(tape, obs, theta, table, first, last)


@kernel
def repeat_backward(times, dtape, grad, tape, obs, theta, work, table, n):
    for _ in range(times):
        backward(dtape, grad, tape, obs, theta, work, table, n)


@kernel
def repeat_learning(times, shared, worker, table, settings, n, update):
    """Run backward, clip the gradient, and update theta. update: see `optim.UPDATE_TYPE`."""
    scratch = worker.scratch
    for _ in range(times):
        backward(scratch.dtape, scratch.grad, worker.tape, worker.obs, shared.theta, scratch.work, table, n)
        sum_squares(scratch.squares, scratch.grad)
        scale = clip_scale(gradient_norm(scratch.squares), settings.clip_norm)
        apply_gradient(shared, worker, settings, settings.lr, scale, update, settings.local_copy)
