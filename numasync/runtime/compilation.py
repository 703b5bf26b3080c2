"""How far a compilation is, for those who wait for it."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from numasync.runtime.compilers import COMPILED_ELSEWHERE
from numasync.runtime.jit import DISABLED, PublicKernel
from numasync.runtime.numba_names import dispatcher, event, registry

# Gets the kernels that are compiled, the kernels in all, and the seconds since the first one began.
OnCompiled = Callable[[int, int, float], None]


def kernels_below(kernel: Any) -> set[Callable[..., Any]]:
    """Return the Python sources of a kernel and of all kernels that it calls, but not of an `inline_kernel`.

    An `inline_kernel` is compiled as lines of its callers.
    """
    found: set[Callable[..., Any]] = set()
    inline: set[Callable[..., Any]] = set()
    waiting = [kernel]
    while waiting:
        kernel = waiting.pop()
        kernel = kernel.kernel if isinstance(kernel, PublicKernel) else kernel
        if isinstance(kernel, registry.CPUDispatcher) and kernel.py_func not in found | inline:
            (inline if kernel.targetoptions.get("inline") == "always" else found).add(kernel.py_func)
            waiting += called_by(kernel.py_func)
    return found


def called_by(function: Callable[..., Any]) -> list[Any]:
    """Return the values of all names that a function takes from its module or from a function around it."""
    around = [cell.cell_contents for cell in function.__closure__ or ()]
    return around + [function.__globals__.get(name) for name in function.__code__.co_names]


class Compilation(event.Listener):
    """Counts the kernels that Numba has compiled, here or in a helper, see `compilers.py`.

    kernels      the kernels that Python calls
    on_compiled  called after each kernel, in the thread that compiles or waits for a helper
    """

    def __init__(self, kernels: Iterable[Any], on_compiled: OnCompiled) -> None:
        self.below = [(kernel, kernels_below(kernel)) for kernel in kernels]
        self.on_compiled = on_compiled
        self.compiled: set[Callable[..., Any]] = set()
        self.elsewhere: set[Callable[..., Any]] = set()
        self.began: float | None = None

    def on_start(self, event: Any) -> None:
        """Begin to count the seconds."""
        self.began = time.perf_counter() if self.began is None else self.began

    def on_end(self, event: Any) -> None:
        """Count a kernel, or what a helper has compiled with one."""
        kernel = event.data["dispatcher"]
        if event.kind == COMPILED_ELSEWHERE:
            below = kernels_below(kernel)
            self.elsewhere |= below
        else:
            below = {kernel.py_func}
        # What comes out of the cache need not be compiled, and what it calls neither. A helper's kernel comes out of
        # it too.
        needed = [below for kernel, below in self.below if not kernel.stats.cache_hits or below <= self.elsewhere]
        total = set().union(*needed)
        if below & total and self.began is not None:
            self.compiled |= below & total
            self.on_compiled(len(self.compiled), len(total), time.perf_counter() - self.began)


class Compiled(event.Listener):
    """Collects the Python sources of the kernels of this package that Numba has compiled, here or in a helper.

    The Python blocks of a `callback_kernel` are left out, because every process compiles them.
    """

    def __init__(self) -> None:
        self.sources: set[Callable[..., Any]] = set()

    def on_start(self, event: Any) -> None:
        """Do nothing."""

    def on_end(self, event: Any) -> None:
        """Keep the source of a kernel, and what a helper has compiled with one."""
        kernel = event.data["dispatcher"]
        sources = kernels_below(kernel) if event.kind == COMPILED_ELSEWHERE else {kernel.py_func}
        if not isinstance(kernel, dispatcher.LiftedCode):
            self.sources |= {source for source in sources if source.__module__.partition(".")[0] == "numasync"}


@contextlib.contextmanager
def collect_compiled() -> Iterator[set[Callable[..., Any]]]:
    """Yield the set of the sources of the kernels that are compiled in a `with` block."""
    compiled = Compiled()
    with event.install_listener("numba:compile", compiled), event.install_listener(COMPILED_ELSEWHERE, compiled):
        yield compiled.sources


@contextlib.contextmanager
def watch_compilation(kernels: Iterable[Any], on_compiled: OnCompiled) -> Iterator[None]:
    """Report how far the compilation of kernels is, in a `with` block. The arguments: see `Compilation`."""
    if DISABLED:
        yield
        return
    listener = Compilation(kernels, on_compiled)
    with event.install_listener("numba:compile", listener), event.install_listener(COMPILED_ELSEWHERE, listener):
        yield
