"""Many runs at once, on any executor with the `submit` of concurrent.futures; by default in processes of our own."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from typing import Any, Protocol

from numasync.errors import WorkerError

Run = dict[str, Any]
Rows = list[dict[str, Any]]


class RunExecutor(Protocol):
    """What a study needs of an executor, such as a concurrent.futures.Executor."""

    def submit(self, function: Callable[[Run], Rows], run: Run, /) -> Future[Rows]:
        """Call function(run) at some time, and return the Future of its result."""


def play_waves(
    waves: Iterable[list[Run]], function: Callable[[Run], Rows], executor: RunExecutor
) -> Generator[tuple[Run, Rows], None, None]:
    """Yield (run, function(run)) of each run as soon as it is finished.

    waves     lists of runs; a list is submitted as a whole, after the list before has ended
    function  plays a run
    executor  calls the function

    Raises what the function raises, and WorkerError where a process has ended. Runs that have finished by then are
    yielded before, also at Ctrl-C. After an error, and when the caller closes this generator, no more runs are begun.
    """
    for wave in waves:
        futures = {executor.submit(function, run): run for run in wave}
        try:
            yield from collect(futures)
        except BrokenExecutor as error:
            raise WorkerError("A process of the study has ended before its run; was there enough memory?") from error
        finally:
            cancel(futures)


def collect(futures: dict[Future[Rows], Run]) -> Generator[tuple[Run, Rows], None, None]:
    """Yield (run, rows) of each run as soon as it is finished, and raise the first error when no more are finished."""
    left = dict(futures)
    try:
        for future in as_completed(futures):
            rows = future.result()
            yield left.pop(future), rows
    except GeneratorExit:  # the caller wants no more
        raise
    except BaseException:
        cancel(left)
        for future, run in left.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield run, future.result()
        raise


def cancel(futures: Iterable[Future[Rows]]) -> None:
    """Begin none of these runs that has not begun."""
    for future in futures:
        future.cancel()


@contextmanager
def process_pool(jobs: int) -> Iterator[Executor]:
    """Give an executor of `jobs` processes, and end them afterwards.

    The processes are spawned: they inherit no lock and no thread. When an exception, such as Ctrl-C, is raised inside,
    they are ended in the middle of their runs.
    """
    # Imported here, because a browser's Python has no processes.
    from concurrent.futures import ProcessPoolExecutor

    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), obey_parent)
    try:
        start_processes(pool)
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def start_processes(pool: Executor) -> None:
    """Start the processes of a pool with Ctrl-C blocked, so that it cannot interrupt their imports.

    They never unblock it. The parent gets a Ctrl-C of this moment afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return
    from multiprocessing import resource_tracker  # not in a browser, as above

    resource_tracker.ensure_running()  # starting it unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool.submit(os.getpid)  # a pool starts its processes at the first call
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent() -> None:
    """Prepare a process: it ignores Ctrl-C, and it ends with its parent.

    A terminal sends Ctrl-C to all processes, and the parent alone decides what follows. A parent that is killed cannot
    tell its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Wait for the end of the parent, then end this process."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)
