"""Kernels that are called through their address, which a kernel finds in an array of numbers.

Numba compiles a kernel together with all that it calls. Through an address it calls a kernel without compiling it: a
network's layers are compiled one by one, and only the kinds that it has. A call costs a few nanoseconds. Arrays arrive
as pointers to their first element, because a pointer fits in a register: `nn/products/views.py` makes views of them.

An address is valid in one process only. It is never 0. Where Numba is switched off it is the number of a Python
function.
"""

from typing import Any

import numpy as np

from numasync.runtime.jit import COMPILING, DISABLED, compile_for
from numasync.runtime.numba_names import cgutils, errors, intrinsic, numpy_support, types

# Where Numba is switched off: the functions whose numbers were handed out. 0 is no function's number.
FUNCTIONS: list[Any] = [None]


def address_of(function: Any, *arguments: Any) -> int:
    """Compile a `pointer_kernel` for arguments of these Numba types, arrays as pointers, and return its address."""
    with COMPILING:
        if DISABLED:
            if function not in FUNCTIONS:
                FUNCTIONS.append(function)
            return FUNCTIONS.index(function)
        compile_for(function, *arguments)
        compiled = function.get_compile_result(types.none(*arguments))
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def pointer_to(dtype: Any) -> Any:
    """Return the Numba type of a pointer to numbers of a NumPy dtype."""
    return types.CPointer(numpy_support.from_dtype(np.dtype(dtype)))


def python_call_at(address, arguments):
    """Call the function with this address, see `address_of`; it returns nothing."""
    FUNCTIONS[address](*arguments)


def passed_as(kind):
    """Return the type as which an argument of type `kind` arrives."""
    if isinstance(kind, types.Array) and kind.layout == "C":
        return types.CPointer(kind.dtype)
    if isinstance(kind, types.Integer):
        return types.int64
    raise errors.TypingError(f"Only C-contiguous arrays and integers are passed through an address, not {kind}.")


@intrinsic
def compiled_call_at(typing, address, arguments):
    """`python_call_at` in machine code."""
    kinds = [passed_as(kind) for kind in arguments]

    def emit(context, builder, signature, values):
        address, packed = values
        passed = []
        for value, given, kind in zip(cgutils.unpack_tuple(builder, packed), arguments, kinds, strict=True):
            if isinstance(given, types.Array):
                passed.append(context.make_array(given)(context, builder, value).data)
            else:
                passed.append(context.cast(builder, value, given, kind))
        kernel_type = context.call_conv.get_function_type(types.none, kinds)
        kernel = builder.inttoptr(address, kernel_type.as_pointer())
        status, _ = context.call_conv.call_function(builder, kernel, types.none, kinds, passed)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, arguments), emit


call_at = python_call_at if DISABLED else compiled_call_at
