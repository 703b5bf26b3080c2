"""Processes that compile kernels beside this one: on two cores a first start takes two thirds of the time.

Numba compiles under a lock and with the GIL, so that threads cannot share the work. A helper is a process of Python. It
gets one kernel after another by its name, compiles it, and leaves it in the cache. This process loads it from there.

No run depends on it. What no helper has compiled, this process compiles when it needs it. No helper is started where
nothing is left to compile, where there is one core or no cache, or in a process that is one of many itself.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from numasync.runtime.affinity import cores
from numasync.runtime.cache import KernelCache
from numasync.runtime.cache_folder import PACKAGE, open_folder
from numasync.runtime.forks import Fork, can_fork
from numasync.runtime.garbage import rarely_collect
from numasync.runtime.jit import DISABLED, compile_signature, compile_type
from numasync.runtime.numba_names import event

# More than these have nothing to do: the loop is the longest compilation, and this process makes it.
MOST_HELPERS = 2

# Numba's event of this kind says that a helper has compiled a kernel.
COMPILED_ELSEWHERE = "numasync:compiled_elsewhere"

# A helper lives for some seconds, so that it never collects garbage.
SERVE = """import gc, os, sys
gc.disable()
from numasync.runtime.compilers import serve
serve(sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0))
"""

# While it compiles, Python collects garbage each time there are 100,000 new objects. With 300,000 a first start takes
# longer: memory that has been used before is quicker than new memory.
NEW_OBJECTS = 100_000


class Job(NamedTuple):
    """A kernel to compile, and for what: a signature, or the types of its arguments."""

    kernel: Any
    signature: Any

    @property
    def is_done(self) -> bool:
        """Whether this process has it."""
        arguments = getattr(self.signature, "args", self.signature)
        return DISABLED or tuple(arguments) in self.kernel.signatures

    @property
    def is_cached(self) -> bool:
        """Whether the cache has it."""
        return self.can_be_shared and self.kernel._cache.has(self.signature, self.kernel.targetctx)

    @property
    def path(self) -> tuple[str, str]:
        """Where another process finds the kernel: the name of its module, and its name there."""
        return self.kernel.py_func.__module__, self.kernel.py_func.__qualname__

    @property
    def can_be_shared(self) -> bool:
        """Whether a helper finds the kernel, and can leave it in the cache."""
        return isinstance(self.kernel._cache, KernelCache) and find_kernel(*self.path) is self.kernel

    def compile(self) -> None:
        """Compile it, or load it from the cache."""
        if not self.is_done:
            # A kernel that is passed as a function has a signature. It may be compiled for other types too.
            (compile_signature if isinstance(self.signature, tuple) else compile_type)(self.kernel, self.signature)

    @property
    def entry_point(self) -> Any:
        """What Python may call in the place of the kernel, once it is compiled, with arguments of these types alone.

        The kernel looks at the types of all arguments at each call. Where they are tuples of many arrays, that takes
        longer than a short call.
        """
        arguments = getattr(self.signature, "args", self.signature)
        return self.kernel if DISABLED else self.kernel.overloads[tuple(arguments)].entry_point


def find_kernel(module: str, name: str) -> Any:
    """Return the kernel with this name, or None where the module does not hold it."""
    with contextlib.suppress(ImportError, AttributeError):
        found = functools.reduce(getattr, name.split("."), importlib.import_module(module))
        return getattr(found, "kernel", found)  # of a PublicKernel
    return None


class Helper:
    """A process that compiles. Its jobs are pickled into a pipe, and it answers each with a byte."""

    def __init__(self) -> None:
        self.process = Fork(serve) if can_fork() else self._start_python()

    def _start_python(self) -> subprocess.Popen:
        path = os.pathsep.join([str(Path(PACKAGE).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    def work(self, jobs: "deque[Job]") -> None:
        """Let it compile the last of the jobs, as long as there are some. A job that fails is put back."""
        while True:
            try:
                job = jobs.pop()
            except IndexError:
                return
            if not self._compile(job):
                jobs.append(job)
                return
            event.broadcast(event.Event(COMPILED_ELSEWHERE, event.EventStatus.END, {"dispatcher": job.kernel}))

    def _compile(self, job: Job) -> bool:
        assert self.process.stdin and self.process.stdout
        try:
            pickle.dump((*job.path, job.signature), self.process.stdin)
            self.process.stdin.flush()
            return self.process.stdout.read(1) == b"1"
        except (OSError, ValueError):  # it has ended, or it is closed
            return False

    def end(self) -> None:
        """Let it end, now that it has nothing to do."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe
                pipe.close()
        self.process.wait()


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Compile what `jobs` names, and answer each job with a byte, until there are no more."""
    with contextlib.suppress(EOFError, KeyboardInterrupt, OSError):
        while True:
            module, name, signature = pickle.load(jobs)
            try:
                Job(find_kernel(module, name), signature).compile()
            except Exception:  # the process that needs the kernel finds the error itself
                answers.write(b"0")
            else:
                answers.write(b"1")


class Compilers:
    """The helpers of a start, for a `with` block. They begin at once, because importing takes them a second.

    jobs  what is to be compiled, as far as it is known
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        left = [job for job in jobs if not job.is_done and not job.is_cached]
        # This process takes one of the jobs itself.
        helpers = min(len(left) - 1, cores() - 1, MOST_HELPERS) if len(left) > 1 and can_help() else 0
        if helpers and can_fork():
            load_registries(left[0].kernel)
        self.helpers = [Helper() for _ in range(helpers)]

    def __enter__(self) -> "Compilers":
        return self

    def __exit__(self, *error: Any) -> None:
        for helper in self.helpers:
            if error[0]:
                helper.process.kill()
            helper.end()

    def compile(self, jobs: Sequence[Job]) -> None:
        """Compile all jobs. This process takes jobs from the front of the list, helpers take them from the end."""
        left = [job for job in jobs if not job.is_done]
        with rarely_collect(NEW_OBJECTS):
            self._compile(left)

    def _compile(self, left: Sequence[Job]) -> None:
        alone = [job for job in left if not job.can_be_shared]
        shared = deque(job for job in left if job not in alone)
        threads = [threading.Thread(target=helper.work, args=(shared,), daemon=True) for helper in self.helpers]
        for thread in threads:
            thread.start()
        for job in alone:
            job.compile()
        while shared:
            with contextlib.suppress(IndexError):
                shared.popleft().compile()
        for thread in threads:
            thread.join()
        for job in left:  # out of the cache, or because a helper has ended
            job.compile()


def load_registries(kernel: Any) -> None:
    """Let Numba load what it knows of Python and NumPy. It takes half a second, and a copy of this process has it."""
    kernel.typingctx.refresh()
    kernel.targetctx.refresh()


def can_help() -> bool:
    """Return whether helpers can be started, and leave what they compile."""
    python = Path(sys.executable or "").name.lower().startswith(("python", "pypy"))
    one_of_many = multiprocessing.parent_process() is not None
    return python and not DISABLED and cores() > 1 and not one_of_many and open_folder()[0] is not None
