"""A vector or a matrix that lies somewhere in an array: what a slice and a reshape would give, at no cost.

A segment of a small network is a few hundred nanoseconds of arithmetic, and it needs dozens of views: a layer's
weights in theta, its block of the tape, the rows of a segment. Numba's slices check their bounds and count references,
its reshape calls a function that divides the shape out: that took longer than the arithmetic itself. These views are
a pointer and a shape and nothing else. So they check nothing, and they are good for as long as the array lives, which
inside a kernel is always.
"""

from numba.core import errors, types
from numba.extending import lower_builtin, type_callable
from numba.np import arrayobj


def vector_at(array, at, size):
    """The `size` elements of a C-contiguous array from its element number `at` on: (size,)."""
    return array.reshape(-1)[at : at + size]


def matrix_at(array, at, rows, columns):
    """The rows * columns elements of a C-contiguous array from its element number `at` on: (rows, columns)."""
    return array.reshape(-1)[at : at + rows * columns].reshape(rows, columns)


def type_of_view(array, dimensions):
    """The type of a view of `dimensions` dimensions into `array`."""
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise errors.TypingError(f"A view lies in a C-contiguous array, not in {array}.")
    return array.copy(ndim=dimensions)


def emitted_view(context, builder, signature, arguments):
    """The machine code of a view: from (array, at, size, ...) to the fields of an array."""
    array, at, *shape = arguments
    at, *shape = (context.cast(builder, x, t, types.intp) for x, t in zip((at, *shape), signature.args[1:]))
    data = builder.gep(context.make_array(signature.args[0])(context, builder, array).data, [at])
    number = context.get_data_type(signature.return_type.dtype)
    strides = [context.get_constant(types.intp, context.get_abi_sizeof(number))]
    for size in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    fields = context.make_array(signature.return_type)(context, builder)
    # No meminfo, no parent: a view owns nothing.
    arrayobj.populate_array(fields, data, shape, strides, strides[-1], meminfo=None, parent=None)
    return fields._getvalue()


@type_callable(vector_at)
def type_vector_at(context):
    return lambda array, at, size: type_of_view(array, 1)


@type_callable(matrix_at)
def type_matrix_at(context):
    return lambda array, at, rows, columns: type_of_view(array, 2)


lower_builtin(vector_at, types.Array, types.Integer, types.Integer)(emitted_view)
lower_builtin(matrix_at, types.Array, types.Integer, types.Integer, types.Integer)(emitted_view)
