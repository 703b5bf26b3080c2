"""Every Numba option of the project, each with its reason. No other file says `njit`."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numasync.runtime.cache import add_cache
from numasync.runtime.messages import plain_messages
from numasync.runtime.numba_names import INSTALLED, global_compiler_lock, numba, types
from numasync.runtime.parts import Kernel

# The dtype of parameters, activations and gradients. Kernels take the dtype of their arrays, so that gradient checks
# can run in float64. FLOAT(...) marks literals: a bare one would turn a float32 expression into a float64 one.
FLOAT = np.float32

# Reordering sums is what lets LLVM vectorise a reduction. `nnan` and `ninf` are left out on purpose: with them the
# compiler may assume that no NaN exists and delete the test that finds one.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Whether every kernel is a Python function: Numba is not installed, or NUMBA_DISABLE_JIT=1 switches it off.
DISABLED = not INSTALLED or bool(numba.config.DISABLE_JIT)
WHY_DISABLED = "NUMBA_DISABLE_JIT is set" if INSTALLED else "Numba is not installed"

KERNEL_OPTIONS = dict(nopython=True, boundscheck=None, nogil=True, error_model="numpy", fastmath=FASTMATH, _nrt=False)

# Whoever compiles, or changes what Numba knows of a kernel, holds this lock. It is Numba's own: with a second one, two
# threads could wait for each other. A thread may take it again while it holds it.
COMPILING = global_compiler_lock


def cached(compiled: Any) -> Any:
    """Keep what Numba compiles of a function on the disk. Return the function."""
    if not DISABLED:
        add_cache(compiled)
    return compiled


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` on first use.

    nogil: real threads share one parameter array.
    error_model numpy: a division by zero gives inf instead of a branch that stops vectorisation. The loop catches a
        loss that is not finite.
    _nrt off: the compiler refuses a kernel that allocates or returns an array. It then counts no references, which
        would be two atomic operations for every array of every call and half of a small network's time.
    """
    return function if DISABLED else cached(Kernel(function, targetoptions=dict(KERNEL_OPTIONS)))


def kernel_or(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function as a kernel. Where nothing is compiled, `plain` takes its place.

    plain  computes the same with NumPy's operations on whole arrays. Interpreted, a loop over numbers takes a hundred
           times as long. The loop stays the `python_source` of `plain`, so that a reader and a test find it.
    """

    def choose(function: Callable[..., Any]) -> Any:
        if not DISABLED:
            return kernel(function)
        plain.py_func = function  # type: ignore[attr-defined]
        return plain

    return choose


class PublicKernel:
    """A kernel whose arguments are checked where Python calls it. A compiled function calls the kernel itself.

    function  the Python source of the kernel
    check     called with the same arguments before it; raises InputError
    """

    def __init__(self, function: Callable[..., Any], check: Callable[..., None]) -> None:
        functools.update_wrapper(self, function)
        self.kernel, self.py_func, self.check = kernel(function), function, check

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.check(*arguments, **named)
        return self.kernel(*arguments, **named)

    def __reduce__(self) -> str:
        return self.py_func.__qualname__  # pickled by name, as a function is

    @property
    def _numba_type_(self) -> Any:
        """What a compiled function that names this object calls."""
        return self.kernel.part._numba_type_


def public_kernel(check: Callable[..., None]) -> Callable[[Callable[..., Any]], PublicKernel]:
    """Return a decorator that makes a function a `PublicKernel` with this check."""
    return functools.partial(PublicKernel, check=check)


def pointer_kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` as a kernel that is only called through its address, see `pointers.py`.

    It gets arrays as pointers. Python cannot call it, so that the wrapper for Python is left out, and the one for C.
    """
    options = {**KERNEL_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return function if DISABLED else cached(Kernel(function, targetoptions=options))


# `with objmode(name=type):` in a `callback_kernel` is a block that Python runs, with the GIL, and that gives the names.
objmode = numba.objmode


def callback_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that calls back into Python.

    It is not nogil: Numba warns against that here, and the option only says what Python does when it calls the
    function. A kernel that calls this one runs it without the GIL, except for the block of `objmode`.
    """
    return function if DISABLED else cached(numba.njit(function))


def checked_kernel(function: Callable[..., Any]) -> Any:
    """Compile a user's function, so that its mistakes are Python errors.

    An index out of bounds is an IndexError instead of a crash, a division by zero a ZeroDivisionError. No fastmath: it
    computes what the interpreter computes. No cache: Numba's would return an older compilation after a change in a
    helper of another file, or one without these options where the user's own decorator has left one. It has none for
    a function typed at a prompt.
    """
    return function if DISABLED else numba.njit(nogil=True, boundscheck=True, error_model="python")(function)


def inline_kernel(function: Callable[..., Any]) -> Any:
    """Make `function` a part of each kernel that calls it.

    It is for a few lines that return a view into an array, which no kernel may. Only kernels can call it.
    """
    return function if DISABLED else numba.njit(inline="always")(function)


def python_source(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Python source of a kernel, or of a function that the user has compiled."""
    return getattr(function, "py_func", function)


class Compiling:
    """A kernel as Numba's `compile` sees it: more types may be compiled.

    The kernel itself says that they may not. Otherwise a call by another thread, during the compilation, would
    compile the kernel for the functions that it was passed.
    """

    _can_compile = True

    def __init__(self, function: Any) -> None:
        self.function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)


def compile_signature(function: Any, signature: Any) -> None:
    """Compile kernel `function` for a signature, or for a tuple of types. From then on a call compiles nothing."""
    with plain_messages():  # holds COMPILING
        function._can_compile = False
        type(function).compile(Compiling(function), signature)


def compile_type(function: Any, signature: Any) -> None:
    """Compile kernel `function` for a signature. It may be compiled for other types later."""
    with plain_messages():
        function.compile(signature)


def compile_for(function: Any, *arguments: Any) -> None:
    """Compile kernel `function` for these Numba types and no others. Call it before threads start.

    Functions among the arguments then arrive as function pointers, so that one compilation serves every environment,
    algorithm and optimiser and can be cached. Compiled at its first call, Numba would specialise on the dispatcher
    that was passed, and compile again in every process.
    """
    if not DISABLED and arguments not in function.signatures:
        compile_signature(function, arguments)


def compile_as(function: Any, kind: Any) -> None:
    """Compile kernel `function` as a `function_type`. What it returns is converted: a reward 0 becomes 0.0."""
    if not DISABLED and kind.signature.args not in function.signatures:
        compile_signature(function, kind.signature)


def cache_dispatch(function: Any, kind: Any) -> None:
    """Compile a kernel once as a `function_type`, and memoise Numba's lookup of the compilation and its address.

    A kernel that takes functions as arguments looks up each of them at every call. That takes longer than a short
    segment.
    """
    if DISABLED:
        return
    with COMPILING:
        compiled, look_up = function.get_compile_result(kind.signature), type(function).get_compile_result
        function.get_compile_result = lambda asked: compiled if asked == kind.signature else look_up(function, asked)
        library = compiled.library
        address = functools.partial(type(library).get_pointer_to_function, library)
        library.get_pointer_to_function = functools.cache(address)


def type_of(value: Any) -> Any:
    """Return the Numba type of an array, a scalar or a NamedTuple of them, for `compile_for`."""
    with COMPILING:  # two threads could make two types out of one, and a kernel that knows one refuses the other
        return numba.typeof(value)


def function_type(returns: Any, *arguments: Any) -> Any:
    """Return the Numba type of a kernel that is passed as an argument."""
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
int64_2d = types.int64[:, ::1]
uint64_1d = types.uint64[::1]
uint8_2d = types.uint8[:, ::1]
