"""Vectors and matrices that lie somewhere in an array: what a slice and a reshape would give, at no cost.

A segment of a small network is a few hundred nanoseconds of arithmetic. It needs dozens of views: a layer's weights in
theta, its block of the tape, the rows of a segment. Numba's slices check bounds and count references, and its reshape
calls a function: that takes longer than the arithmetic. A view here is a pointer and a shape. It checks nothing, and
it is valid as long as its array lives.

`array` may also be the pointer that a layer's kernel gets, see `runtime/pointers.py`.
"""

from numasync.runtime.jit import inline_kernel
from numasync.runtime.numba_names import arrayobj, errors, lower_builtin, type_callable, types


def vector_at(array, at, size):
    """The `size` elements of a C-contiguous array from its element number `at` on: (size,)."""
    return array.reshape(-1)[at : at + size]


def matrix_at(array, at, rows, columns):
    """The rows * columns elements of a C-contiguous array from its element number `at` on: (rows, columns)."""
    return array.reshape(-1)[at : at + rows * columns].reshape(rows, columns)


@inline_kernel
def vector_of(array):
    """All elements of a C-contiguous array, (size,)."""
    return vector_at(array, 0, array.size)


@inline_kernel
def row_at(matrix, i):
    """Row i of a C-contiguous matrix, (columns,)."""
    return vector_at(matrix, i * matrix.shape[1], matrix.shape[1])


def type_of_view(array, dimensions):
    """Return the type of a view of `dimensions` dimensions into `array`."""
    if isinstance(array, types.CPointer):
        return types.Array(array.dtype, dimensions, "C")
    if not (isinstance(array, types.Array) and array.layout == "C"):
        raise errors.TypingError(f"A view lies in a C-contiguous array, not in {array}.")
    return array.copy(ndim=dimensions)


def emit_view(context, builder, signature, arguments):
    """Write the machine code of a view: from (array, at, size, ...) to the fields of an array."""
    array, at, *shape = arguments
    numbers = zip((at, *shape), signature.args[1:], strict=True)
    at, *shape = (context.cast(builder, value, kind, types.intp) for value, kind in numbers)
    is_array = isinstance(signature.args[0], types.Array)
    data = context.make_array(signature.args[0])(context, builder, array).data if is_array else array
    number = context.get_data_type(signature.return_type.dtype)
    strides = [context.get_constant(types.intp, context.get_abi_sizeof(number))]
    for size in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    fields = context.make_array(signature.return_type)(context, builder)
    # No meminfo and no parent: a view owns nothing.
    data = builder.gep(data, [at])
    arrayobj.populate_array(fields, data, shape, strides, strides[-1], meminfo=None, parent=None)
    return fields._getvalue()


@type_callable(vector_at)
def type_vector_at(context):
    return lambda array, at, size: type_of_view(array, 1)


@type_callable(matrix_at)
def type_matrix_at(context):
    return lambda array, at, rows, columns: type_of_view(array, 2)


for source in (types.Array, types.CPointer):
    lower_builtin(vector_at, source, types.Integer, types.Integer)(emit_view)
    lower_builtin(matrix_at, source, types.Integer, types.Integer, types.Integer)(emit_view)
