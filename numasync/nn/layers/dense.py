"""The fully connected layer.

    forward     y  = x W + b
    backward    dW = x^T dy    db = sum of dy over the rows    dx = dy W^T

The derivation: y_ru = sum_i x_ri W_iu + b_u. The loss depends on W_iu through y_ru of every row r, so that dW_iu is the
sum over r of x_ri dy_ru, which is (x^T dy)_iu. It depends on b_u in the same way, with 1 in the place of x_ri. It
depends on x_ri through all units of row r: dx_ri is the sum over u of dy_ru W_iu, which is (dy W^T)_ri.

x: (rows, inputs), one row a step. W: (inputs, units). b: (units,). y: (rows, units). `d` + name is the gradient of
name. Gradients of parameters are added to what is there. Gradients of inputs are written.
"""

import math

from numasync.nn.layers.kind import LayerKind, Plan
from numasync.nn.products.matmul import add_matmul, add_matmul_tn, add_rows, fill_rows, matmul_nt, matmul_nt_work
from numasync.nn.products.views import vector_at
from numasync.nn.table import INPUT_IS_RELU, NEEDS_DX, bias_of, input_rows, output_rows, weight_of
from numasync.runtime.jit import kernel, pointer_kernel


@kernel
def dense_forward(y, x, weight, bias):
    """y = x W + b."""
    fill_rows(y, bias)
    add_matmul(y, x, weight)


@kernel
def dense_backward(dx, dweight, dbias, dy, x, weight, work, needs_dx, x_is_relu):
    """dW += x^T dy, db += sum of dy, dx = dy W^T.

    needs_dx: dx is computed; the first layer of a network does not need it. work, x_is_relu: see `matmul_nt`.
    """
    add_matmul_tn(dweight, x, dy)
    add_rows(dbias, dy)
    if needs_dx:
        matmul_nt(dx, dy, weight, work, x, x_is_relu)


@pointer_kernel
def forward(tape, obs, theta, row, capacity, first, last):
    """`dense_forward` for a row of the layer table."""
    y = output_rows(tape, row, capacity, first, last)
    x = input_rows(tape, obs, row, capacity, first, last)
    dense_forward(y, x, weight_of(theta, row), bias_of(theta, row))


@pointer_kernel
def backward(dtape, grad, tape, obs, theta, work, row, capacity, n):
    """`dense_backward` for a row of the layer table."""
    dx, x = input_rows(dtape, obs, row, capacity, 0, n), input_rows(tape, obs, row, capacity, 0, n)
    dweight, dbias = weight_of(grad, row), bias_of(grad, row)
    dy, weight = output_rows(dtape, row, capacity, 0, n), weight_of(theta, row)
    work = vector_at(work, 0, weight.size)
    dense_backward(dx, dweight, dbias, dy, x, weight, work, row[NEEDS_DX] != 0, row[INPUT_IS_RELU] != 0)


def plan(sizes: tuple[int, ...], in_shape: tuple[int, ...]) -> Plan:
    """sizes: (units,), or the sizes of several heads, whose columns stand side by side. Images are flattened."""
    inputs, units = math.prod(in_shape), sum(sizes)
    return Plan((units,), weight_shape=(inputs, units), work_size=matmul_nt_work(inputs, units))


DENSE = LayerKind(plan, forward, backward, n_sizes=1)
HEADS = DENSE._replace(n_sizes=None)
