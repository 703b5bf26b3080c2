"""Signals: what this program does when it is told to stop, or cannot start, wherever it is.

The first import of the package imports this module before all others, because Ctrl-C can come while they are imported.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
STOPPED = "numasync: stopped.\n"

# A KeyboardInterrupt inside these packages becomes another error, or is lost: they catch what they do not know.
IMPORT_AND_COMPILE = ("importlib", "numba", "llvmlite")

# The signals with which a system or a terminal ends a program. There is no SIGHUP on Windows.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

# A file of the run that this program makes, and what to say where the program is stopped and the file exists.
last_words: tuple[str, str] | None = None


class EndedBySignal(SystemExit):
    """A signal ends this process.

    code    the exit code, 128 and the number of the signal, as a shell has it
    number  the number of the signal
    said    whether the user has been told
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.said = False


def leave_at_once(number: int = signal.SIGINT, _: Any = None) -> NoReturn:
    """End this process with one sentence, and how to go on. It is a handler of signals too."""
    say_stopped()
    os._exit(128 + number)


def say_stopped() -> None:
    """Say that the program was stopped, and how to go on."""
    with contextlib.suppress(OSError):
        text = f"{last_words[1]}\n" if last_words and os.path.exists(last_words[0]) else ""
        os.write(2, (STOPPED + text).encode(errors="backslashreplace"))


def end_by(number: int, _: FrameType | None) -> NoReturn:
    """Handle a signal that ends this process: raise EndedBySignal, which ends what the process has started."""
    for other in ENDING:  # a second signal must not stop the unwinding
        signal.signal(other, signal.SIG_IGN)
    raise EndedBySignal(number)


def leave_or_raise(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal that ends this program: raise KeyboardInterrupt for Ctrl-C, EndedBySignal for another one.

    Where this process imports or compiles, it ends at once. But a command that starts other processes must end them,
    and only the commands that train have last words.
    """
    if (number == signal.SIGINT or last_words) and imports_or_compiles(frame):
        leave_at_once(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    end_by(number, frame)


def end_by_or_at_once(number: int, frame: FrameType | None) -> None:
    """Handle a signal that ends this process as `end_by` does. Where it imports or compiles, end it by the signal."""
    if not imports_or_compiles(frame):
        end_by(number, frame)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def imports_or_compiles(frame: FrameType | None) -> bool:
    """Return whether a frame, or one that has called it, imports or compiles: an exception could be lost there."""
    while frame:
        if frame.f_globals.get("__name__", "").split(".")[0] in IMPORT_AND_COMPILE:
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """Let Ctrl-C and the signals of ENDING do what `leave_or_raise` does in a `with` block.

    A signal that is ignored, or that the user handles, is left alone.
    """
    defaults = (signal.default_int_handler, signal.SIG_DFL, leave_at_once)
    with handled([signal.SIGINT, *ENDING], leave_or_raise, defaults):
        yield


@contextlib.contextmanager
def unwind_when_ended() -> Iterator[None]:
    """Let a signal of ENDING that would end this process raise EndedBySignal in a `with` block."""
    with handled(ENDING, end_by, (signal.SIG_DFL,)):
        yield


@contextlib.contextmanager
def save_when_ended() -> Iterator[None]:
    """Let a signal of ENDING raise EndedBySignal in a `with` block that saves its work then.

    A process of a pool is left alone: its pool would take the exception for a result, and go on.
    """
    if multiprocessing.parent_process() is not None:
        yield
        return
    with handled(ENDING, end_by_or_at_once, (signal.SIG_DFL,)):
        yield


@contextlib.contextmanager
def handled(numbers: Sequence[int], handler: Callable[..., Any], instead_of: Sequence[Any]) -> Iterator[None]:
    """Handle signals in a `with` block of the main thread, as far as their handlers are among `instead_of`."""
    before = {number: signal.getsignal(number) for number in numbers if is_main_thread()}
    changed = [number for number, old in before.items() if old in instead_of]
    for number in changed:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, before[number])


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


if is_program() and is_main_thread():
    for each, default in (
        (signal.SIGINT, signal.default_int_handler),
        *((number, signal.SIG_DFL) for number in ENDING),
    ):
        if signal.getsignal(each) == default:
            signal.signal(each, leave_at_once)
