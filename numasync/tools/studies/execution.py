"""Many runs at once, on any executor of the kind of concurrent.futures; by default on processes of our own."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from numasync.errors import WorkerError


def as_finished(waves, function, executor):
    """Yield (run, function(run)) of each run as it is finished. waves: lists of runs; those of a wave are submitted at
    once, and only when the one before has ended. What function raises is raised here. Nothing that is still waiting is
    begun once the caller has gone."""
    for wave in waves:
        futures = {executor.submit(function, run): run for run in wave}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenExecutor as error:
            raise WorkerError("A process of the study has ended before its run; was there enough memory?") from error
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def processes(jobs):
    """An executor of `jobs` processes that are started afresh (spawn: no lock or thread of ours comes along). When
    something is raised inside, Ctrl-C too, they are ended in the middle of their runs."""
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), obey_parent)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def obey_parent():
    """Prepare a process: it ignores Ctrl-C, which a terminal sends to all, so that its parent decides; and it ends with its
    parent, even if that is killed and can say nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
