"""Signals: what this program does when it is told to stop, or cannot start, wherever it is.

The first import of the package imports this module before all others, because Ctrl-C can come while they are imported.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
STOPPED = b"numasync: stopped.\n"

# A KeyboardInterrupt inside these packages becomes another error, or is lost: they catch what they do not know.
IMPORT_AND_COMPILE = ("importlib", "numba", "llvmlite")

# The signals with which a system or a terminal ends a program. There is no SIGHUP on Windows.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def leave_at_once(*_: Any) -> NoReturn:
    """End this process with one sentence, as a handler of a signal."""
    with contextlib.suppress(OSError):
        os.write(2, STOPPED)
    os._exit(EXIT_INTERRUPTED)


def leave_or_interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C: raise KeyboardInterrupt, but end this process at once where it imports or compiles."""
    while frame:
        if frame.f_globals.get("__name__", "").split(".")[0] in IMPORT_AND_COMPILE:
            leave_at_once()
        frame = frame.f_back
    raise KeyboardInterrupt


@contextlib.contextmanager
def handle_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C do what `leave_or_interrupt` does in a `with` block, unless it is ignored or the user handles it."""
    ours = is_main_thread() and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, leave_at_once)
    before = signal.signal(signal.SIGINT, leave_or_interrupt) if ours else None
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


class EndedBySignal(SystemExit):
    """A signal ends this process. `code` is the exit code."""


@contextlib.contextmanager
def unwind_when_ended() -> Iterator[None]:
    """Let a signal that ends this process raise EndedBySignal in a `with` block, which ends what it has started.

    The exit code is 128 and the number of the signal, as a shell has it.
    """

    def unwind(number: int, _: FrameType | None) -> None:
        for other in changed:  # a second signal must not stop the unwinding
            signal.signal(other, signal.SIG_IGN)
        raise EndedBySignal(128 + number)

    changed = [number for number in ENDING if is_main_thread() and signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def is_main_thread() -> bool:
    """Return whether this is the thread that Python calls the handlers of signals in."""
    return threading.current_thread() is threading.main_thread()


def main_thread_was_interrupted() -> bool:
    """Return whether Ctrl-C has ended what the main thread did, and it now waits for the end of its other threads.

    Only the main thread gets a KeyboardInterrupt. What runs in another thread asks this instead. Three calls wait like
    this: the end of asyncio.run, the end of a `with` block of an executor, and the end of the program.
    """
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame:
        name, module, names = frame.f_code.co_name, frame.f_globals.get("__name__", ""), frame.f_locals
        if module == "asyncio.base_events" and name == "run_until_complete":
            task = names.get("future")
            waits_for = getattr(getattr(task, "get_coro", lambda: None)(), "__name__", "")
            if waits_for == "shutdown_default_executor":
                return True
        if module == "concurrent.futures._base" and name == "__exit__" and names.get("exc_type") is KeyboardInterrupt:
            return True
        if module == "threading" and name == "_shutdown":
            return getattr(sys, "last_type", None) is KeyboardInterrupt
        frame = frame.f_back
    return False


def is_program() -> bool:
    """Return whether Python was started for this package: `numasync`, or `python -m numasync`."""
    first = sys.argv[0] if sys.argv else ""
    if first == "-m":
        return any(word.split(".")[0] == "numasync" for word in sys.orig_argv)
    return Path(first).stem == "numasync"


def end_program(error: Exception) -> None:
    """End the command line with the sentence of an error that comes while the package is imported.

    A program that only imports the package goes on, and gets the error itself.
    """
    if is_program():
        with contextlib.suppress(OSError):
            os.write(2, f"numasync: {error}\n".encode(errors="backslashreplace"))
        raise SystemExit(EXIT_BAD_INPUT)


if is_program() and is_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave_at_once)
