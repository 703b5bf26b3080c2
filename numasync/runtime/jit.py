"""Every Numba option of the project, each with its reason. No other file says `njit`."""

import functools
import os

import numba
import numpy as np
from llvmlite import binding
from numba import types

# The dtype of parameters, activations and gradients. Kernels take the dtype of their arrays, so that gradient checks
# can run in float64; FLOAT(...) marks literals that must not turn a float32 expression into a float64 one.
FLOAT = np.float32

# Reordering sums is what lets LLVM vectorise a reduction. `nnan` and `ninf` are left out on purpose: with them the
# compiler may assume that no NaN exists and delete the test that finds one.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# The cache is what makes a second start quick. Numba does not see a change in what a kernel imports, be it a kernel
# or the tiles of nn/tile.py: after editing one, clear the cache or set NUMASYNC_CACHE=0.
CACHE = os.environ.get("NUMASYNC_CACHE", "1") != "0"

DISABLED = bool(numba.config.DISABLE_JIT)

# Whether the code is for a processor with 32 vector registers of 16 floats. NUMBA_CPU_NAME=haswell, or another that is
# not this machine's, makes code for the common kind: registers of 8 floats, 16 or more of them.
AVX512 = not numba.config.CPU_NAME and bool(binding.get_host_cpu_features().get("avx512f"))


def kernel(function):
    """Compile `function` on first use.

    nogil: real threads share one parameter array. error_model numpy: a division by zero gives inf instead of a branch
    that stops vectorisation; a loss that is not finite is caught by the loop. _nrt off: a kernel that allocates, or
    that returns an array, is refused by the compiler; it then counts no references, which would be two atomic
    operations for every array of every call, and took half of a small network's time.
    """
    return numba.njit(nogil=True, cache=CACHE, error_model="numpy", fastmath=FASTMATH, _nrt=False)(function)


# `with objmode(name=type):` in a `calling_kernel` is a block that Python runs, with the GIL, and that gives the names.
objmode = numba.objmode


def callback_kernel(function):
    """Compile a function that calls back into Python.

    Not nogil, against which Numba warns here: it says what becomes of the GIL where Python calls a function. Called by
    a kernel, this one runs without the GIL, as its caller does, but for the block of `objmode`.
    """
    return numba.njit(cache=CACHE)(function)


def checked_kernel(function):
    """Compile a function that is not the package's own, so that its mistakes are Python errors: an index out of bounds
    is an IndexError instead of a crash, a division by zero a ZeroDivisionError.

    No fastmath: it then computes what the interpreter computes. No cache: Numba's would take an older compilation
    for it after a change in a helper of another file, and one without these options where the user's own decorator
    has left one; nor is there any for a function typed at a prompt.
    """
    return numba.njit(nogil=True, boundscheck=True, error_model="python")(function)


def inline_kernel(function):
    """Make of `function` a part of each kernel that calls it: for a few lines that return a view into an array, which
    no kernel may. Only kernels can call it."""
    return numba.njit(inline="always")(function)


def python_source(function):
    """The Python source of a kernel, or of a function that the user has compiled."""
    return getattr(function, "py_func", function)


def compile_for(function, *signature):
    """Compile kernel `function` for one signature and no other. Call it before threads start.

    Functions passed as arguments then arrive as function pointers (about 10 ns a call), so one compilation serves
    every environment, algorithm and optimiser and can be cached; compiled lazily, Numba would specialise on the
    dispatcher that was passed and compile again in every process.
    """
    if DISABLED or signature in function.signatures:
        return
    function.disable_compile(False)
    function.compile(signature)
    function.disable_compile()


def compile_as(function, kind):
    """Compile kernel `function` as one of `function_type`; what it returns is converted: a reward 0 becomes 0.0."""
    if not DISABLED and kind.signature.args not in function.signatures:
        function.disable_compile(False)
        function.compile(kind.signature)
        function.disable_compile()


def cache_dispatch(function, kind):
    """Compile kernel `function` as one of `function_type`, and answer with that when Numba asks for it and for its
    address. A kernel that takes functions as arguments asks for each at every call, which takes longer than a short
    segment."""
    if DISABLED:
        return
    compiled, look_up = function.get_compile_result(kind.signature), type(function).get_compile_result
    function.get_compile_result = lambda asked: compiled if asked == kind.signature else look_up(function, asked)
    library = compiled.library
    address = functools.partial(type(library).get_pointer_to_function, library)
    library.get_pointer_to_function = functools.cache(address)


def type_of(value):
    """The Numba type of an array, a scalar or a NamedTuple of them, for `compile_for`."""
    return numba.typeof(value)


def function_type(returns, *arguments):
    """The type of a kernel that is passed as an argument."""
    return types.FunctionType(returns(*arguments))


int64 = types.int64
boolean = types.boolean
float32 = types.float32
float64 = types.float64
none = types.none
reward_end = types.Tuple((types.float64, types.int64))
float32_1d = types.float32[::1]
float32_2d = types.float32[:, ::1]
float64_1d = types.float64[::1]
int64_1d = types.int64[::1]
uint64_1d = types.uint64[::1]
