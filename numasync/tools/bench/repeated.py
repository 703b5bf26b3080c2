"""Kernels in a loop: what is timed is compiled code that calls compiled code, as in training, and the one call from
Python that starts it does not count."""

from numasync.learner.loop import apply_gradient
from numasync.learner.optim import clip_scale, sum_squares
from numasync.nn.layers.all_layers import dense_backward, dense_forward, vector_of
from numasync.nn.layers.conv import conv_backward, conv_forward
from numasync.nn.network import backward, forward
from numasync.nn.products.gemm import (
    ADJACENT,
    NO_JUMP,
    ONE_RUN,
    add_product,
    add_product_transposed,
    add_row_product,
    transpose,
)
from numasync.nn.products.views import matrix_at
from numasync.runtime.jit import kernel


@kernel
def repeat_product(times, m, a, row, column, b, c):
    for _ in range(times):
        add_product(m, a, row, column, NO_JUMP, ONE_RUN, b, c, b.shape[1])


@kernel
def repeat_row_product(times, a, b, c):
    for _ in range(times):
        add_row_product(a, b, c)


@kernel
def repeat_product_transposed(times, a, b, c):
    for _ in range(times):
        add_product_transposed(a, b, c)


@kernel
def repeat_product_transposing(times, a, b, c, work):
    """C += A B^T by way of a transposed copy of B, as a convolution's inputs and the heads' get their gradient."""
    transposed = matrix_at(work, 0, b.shape[1], b.shape[0])
    for _ in range(times):
        transpose(b, transposed)
        add_product(
            a.shape[0], vector_of(a), a.shape[1], ADJACENT, NO_JUMP, ONE_RUN, transposed, vector_of(c), c.shape[1]
        )


@kernel
def repeat_dense_forward(times, x, weight, bias, y):
    for _ in range(times):
        dense_forward(x, weight, bias, y)


@kernel
def repeat_dense_backward(times, x, weight, dy, dweight, dbias, dx, work):
    for _ in range(times):
        dense_backward(x, weight, dy, dweight, dbias, dx, work, False)


@kernel
def repeat_conv_forward(times, x, image, kernel_size, stride, weight, bias, y):
    for _ in range(times):
        conv_forward(x, image, kernel_size, stride, weight, bias, y)


@kernel
def repeat_conv_backward(times, x, image, kernel_size, stride, weight, dy, dweight, dbias, dx, work):
    for _ in range(times):
        conv_backward(x, image, kernel_size, stride, weight, dy, dweight, dbias, dx, work)


@kernel
def repeat_forward(times, table, theta, obs, tape, first, last):
    for _ in range(times):
        forward(table, theta, obs, tape, first, last)


@kernel
def repeat_backward(times, table, theta, obs, tape, dtape, grad, work, n):
    for _ in range(times):
        backward(table, theta, obs, tape, dtape, grad, work, n)


@kernel
def repeat_learning(times, table, shared, worker, settings, n, update):
    """Backward, then clip and update. update: see `optim.UPDATE_TYPE`."""
    for _ in range(times):
        backward(table, shared.theta, worker.obs, worker.tape, worker.dtape, worker.grad, worker.work, n)
        sum_squares(worker.grad, worker.squares)
        scale = clip_scale(worker.squares, settings.clip_norm)
        apply_gradient(shared, worker, settings, settings.lr, scale, update, settings.local_copy)
