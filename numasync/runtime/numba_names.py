"""The names of Numba and of LLVM that this package uses. No other file imports Numba.

Numba compiles. Where it is not installed, such as in a browser, every kernel is a Python function: INSTALLED is false,
and `jit.py` then says that the compiler is off, as NUMBA_DISABLE_JIT=1 does. The names stay, so that the other files
read the same. They then name a `Nothing`.
"""

import importlib
import threading
from typing import Any


class Nothing:
    """What stands for a name of Numba that nobody uses: it can be called, indexed, entered and derived from."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for these itself, and takes their absence for an answer
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self

    def __getitem__(self, index: Any) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


def is_installed(name: str) -> bool:
    """Return whether a package is installed. Where it is, and cannot be loaded, its own error says why."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return False
    return True


INSTALLED = is_installed("llvmlite") and is_installed("numba")

if INSTALLED:
    import llvmlite
    import numba
    from llvmlite import binding, ir
    from numba import types
    from numba.core import (
        caching,
        cgutils,
        codegen,
        compiler,
        compiler_machinery,
        dispatcher,
        errors,
        event,
        registry,
        sigutils,
        typed_passes,
        untyped_passes,
    )
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.typing import typeof
    from numba.extending import intrinsic, lower_builtin, type_callable
    from numba.misc.appdirs import AppDirs
    from numba.np import arrayobj, numpy_support
else:
    llvmlite = numba = binding = ir = types = Nothing()
    caching = cgutils = codegen = compiler = compiler_machinery = dispatcher = errors = event = registry = Nothing()
    sigutils = typed_passes = untyped_passes = typeof = AppDirs = arrayobj = numpy_support = Nothing()
    intrinsic = lower_builtin = type_callable = Nothing()
    global_compiler_lock = threading.RLock()

__all__ = [
    "INSTALLED",
    "AppDirs",
    "arrayobj",
    "binding",
    "caching",
    "cgutils",
    "codegen",
    "compiler",
    "compiler_machinery",
    "dispatcher",
    "errors",
    "event",
    "global_compiler_lock",
    "intrinsic",
    "ir",
    "llvmlite",
    "lower_builtin",
    "numba",
    "numpy_support",
    "registry",
    "sigutils",
    "type_callable",
    "typed_passes",
    "typeof",
    "types",
    "untyped_passes",
]
