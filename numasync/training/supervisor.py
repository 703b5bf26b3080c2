"""The threads of a run, and the supervisor that watches them, takes snapshots, and stops them."""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any

import numpy as np

from numasync.errors import InputError, NotFiniteError, WorkerError
from numasync.learner.loop import MAX_SEGMENTS
from numasync.runtime.affinity import pinned
from numasync.runtime.interrupts import is_main_thread, main_thread_was_interrupted
from numasync.training.progress import Progress
from numasync.training.schedule import Every
from numasync.training.trainer import Trainer

# A call of the loop grows until it takes this long; between two calls Python can stop the worker. Workers that share a
# thread get shorter calls, because no worker should play many episodes in a row.
CALL_SECONDS = 0.02
SHARED_CALL_SECONDS = 0.002

POLL_SECONDS = 0.1
PARAMETER_CHECK_SECONDS = 1.0

OnProgress = Callable[[Progress], None]
OnCheckpoint = Callable[[np.ndarray], None]


class RunThread:
    """A thread of a run, pinned to a core. It calls functions one after another.

    It is no pool of one thread: once the program ends, a pool takes no more calls, and a run must still close its
    environments then.
    """

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._calls: SimpleQueue[tuple[Future, Callable, tuple] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def submit(self, function: Callable, *arguments: Any) -> Future:
        """Call a function in the thread, after the calls before it, and return its Future."""
        future: Future = Future()
        self._calls.put((future, function, arguments))
        return future

    def end(self, patient: bool = True) -> None:
        """Let the thread end after the calls before. patient: wait for it."""
        self._calls.put(None)
        if patient:
            self._thread.join()

    def _serve(self) -> None:
        with pinned(self._core):  # the threads that an environment starts inherit the core
            while call := self._calls.get():
                future, function, arguments = call
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:
                    future.set_exception(error)


class Supervisor:
    """Runs a Trainer in threads until T_max, a failure or Ctrl-C.

    snapshot     the last copy of theta
    interrupted  whether Ctrl-C has ended the run early
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.snapshot = trainer.theta.copy()
        self.interrupted = False
        # An environment never leaves the thread that it is made in.
        self._threads: list[RunThread] = []
        self._stop = threading.Event()
        self._failure: Exception | None = None

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self.trainer.progress(self.interrupted)

    def run(
        self,
        on_progress: OnProgress = lambda progress: None,
        on_checkpoint: OnCheckpoint = lambda theta: None,
    ) -> None:
        """Build the trainer, run it to its end, and close it. Both callbacks are called from this thread.

        on_progress    gets the Progress, every POLL_SECONDS
        on_checkpoint  gets a finite copy of theta, which is valid until the next call: at the start, at each crossing
                       of a multiple of checkpoint_every, and at the end

        Raises WorkerError if a worker failed (after the last checkpoint), NotFiniteError if a loss, a gradient or a
        parameter is NaN or infinite (without it), and what a callback raises. The first KeyboardInterrupt ends the run
        early, but one during compilation, before the workers start, is passed on, and so is a second one.
        """
        patient = True
        try:
            with explain_lack(self.trainer.config.workers):
                for core in self.trainer.threads:
                    self._threads.append(RunThread(core))
                self.trainer.build(self._call)
            if self._checkpoint(on_checkpoint):
                self._run_threads(on_progress, on_checkpoint)
        except (WorkerError, NotFiniteError) as error:
            self._fail(error)
        except KeyboardInterrupt:  # the second one, or one during compilation
            patient = False
            raise
        finally:
            self._close(patient)
        if not isinstance(self._failure, NotFiniteError):
            self._checkpoint(on_checkpoint)
        if self._failure:
            raise self._failure

    def _close(self, patient: bool) -> None:
        """Close the environments and end the threads. patient: wait for it. A worker may sleep in its environment."""
        self.trainer.close(self._call if patient else self._submit)
        for thread in self._threads:
            thread.end(patient)

    def _submit(self, thread: int, function: Callable, *arguments: Any) -> Future:
        """Let a thread of the run call a function."""
        return self._threads[thread].submit(function, *arguments)

    def _call(self, thread: int, function: Callable, *arguments: Any) -> Any:
        """Call a function in a thread of the run and return its result."""
        return self._submit(thread, function, *arguments).result()

    def _run_threads(self, on_progress: OnProgress, on_checkpoint: OnCheckpoint) -> None:
        trainer = self.trainer
        # One segment compiles the rest. The other threads start after it.
        self._call(0, trainer.run_segments_of, 0, 1)
        trainer.clock.start()
        runs: list[Future] = []
        try:
            runs += [thread.submit(self._run_workers_of, i) for i, thread in enumerate(self._threads)]
            self._watch(runs, on_progress, on_checkpoint)
        except (KeyboardInterrupt, BrokenPipeError):  # a broken pipe: nobody reads the output any more
            self.interrupted = True
        except Exception as error:  # of a callback, such as a periodic evaluation
            self._fail(error)
        finally:
            self._stop.set()
            wait(runs)
        trainer.clock.stop()

    def _watch(self, runs: list[Future], on_progress: OnProgress, on_checkpoint: OnCheckpoint) -> None:
        """Call the callbacks and check the parameters until all threads have ended."""
        config = self.trainer.config
        checkpoints, checked = Every(config.checkpoint_every), time.perf_counter()
        while True:
            ended, running = wait(runs, POLL_SECONDS)
            for run in ended:
                run.result()  # raises what `_run_workers_of` does not catch
            if not running:
                return
            on_progress(self.progress())
            if not is_main_thread() and main_thread_was_interrupted():
                raise KeyboardInterrupt
            steps = self.trainer.steps
            if steps < config.steps and checkpoints.crossed(steps):
                self._checkpoint(on_checkpoint)
            if time.perf_counter() - checked > PARAMETER_CHECK_SECONDS:
                checked = time.perf_counter()
                self._take_snapshot()

    def _run_workers_of(self, thread: int) -> None:
        """Run the workers of a thread in turn until the run ends. This is the body of the thread.

        Workers that share a thread change between two calls of the loop. If each worker had its own thread, the system
        would stop most of them in the middle of a segment, until all others had run. A gradient would then be as old
        as the number of workers; now it is as old as the number of cores. On two cores with sixteen threads, the Q
        values of one-step Sarsa diverged.

        In deterministic mode a call is always one segment, so that the run repeats.
        """
        trainer, workers = self.trainer, self.trainer.workers_of(thread)
        segments, longest = 1, CALL_SECONDS if len(workers) == 1 else SHARED_CALL_SECONDS
        try:
            while True:
                started = time.perf_counter()
                for i in workers:
                    if self._stop.is_set() or not trainer.run_segments_of(i, segments):
                        return
                seconds = time.perf_counter() - started
                if not trainer.config.deterministic and seconds < longest * len(workers):
                    segments = min(2 * segments, MAX_SEGMENTS)
        except Exception as error:
            self._fail(error)

    def _checkpoint(self, on_checkpoint: OnCheckpoint) -> bool:
        """Take a snapshot and pass it on. Return false, and fail, if it is not finite."""
        finite = self._take_snapshot()
        if finite:
            on_checkpoint(self.snapshot)
        return finite

    def _take_snapshot(self) -> bool:
        """Copy theta while the workers go on writing. Return false, and fail, if the copy is not finite."""
        np.copyto(self.snapshot, self.trainer.theta)
        finite = bool(np.isfinite(self.snapshot).all())
        if not finite:
            self._fail(self.trainer.not_finite("A parameter"))
        return finite

    def _fail(self, failure: Exception) -> None:
        """End the run. Only the first failure is kept."""
        self._failure = self._failure or failure
        self._stop.set()


@contextlib.contextmanager
def explain_lack(workers: int) -> Iterator[None]:
    """Raise an InputError where the `with` block finds too little memory or too few threads."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        lacks_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN)
        if not lacks_memory and "can't start new thread" not in str(error):
            raise
        lack = "little memory" if lacks_memory else "few threads"
        raise InputError(f"This system has too {lack} for workers={workers}; train with fewer.") from None
