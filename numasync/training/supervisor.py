"""The threads of a run, and the supervisor that watches them, takes snapshots, and stops them."""

import contextlib
import errno
import math
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
from numasync.runtime.interrupts import EndedBySignal, is_main_thread, main_thread_was_interrupted
from numasync.runtime.threads import HAS_THREADS, CallingThread
from numasync.training.progress import Progress
from numasync.training.schedule import Every
from numasync.training.state import TrainingState, copy_state, restore_environment, restore_trainer
from numasync.training.trainer import Trainer

# A call of the loop grows until it takes this long; between two calls Python can stop the worker. Workers that share a
# thread get shorter calls, because no worker should play many episodes in a row.
CALL_SECONDS = 0.02
SHARED_CALL_SECONDS = 0.002

POLL_SECONDS = 0.1
# The workers pause for a checkpoint. On a fast environment more than ten could be due in a second.
LEAST_SECONDS = 1.0
PARAMETER_CHECK_SECONDS = 1.0

OnProgress = Callable[[Progress], None]
OnCheckpoint = Callable[[np.ndarray], None]
OnPause = Callable[[], None]


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


class NoThread(CallingThread):
    """What takes the place of a RunThread where no thread starts: it makes a call at once."""

    def end(self, patient: bool = True) -> None:
        """Do nothing. All calls have ended."""


class Supervisor:
    """Runs a Trainer in threads until T_max, a failure, Ctrl-C or another signal that ends the program.

    trainer  what it runs
    state    the training state to go on from; None to begin

    It also has these attributes:

    snapshot        the last copy of theta
    state           the last training state; None where there is none, or it is not wanted
    stopped         whether `stop` was called
    interrupted     whether Ctrl-C or another signal has ended the run early
    ended_by        the other signal, if there was one
    anew            whether episodes begin anew, because an environment cannot go on in the middle of one
    measured        what result.json has besides: values for JSON, by name

    These attributes can be set before `run`:

    keeps_state  whether each checkpoint takes a training state
    pause_at     (T) -> whether the workers must pause here; None: never. Only deterministic mode asks it, before each
                 turn of a worker
    on_restore   called before a state is restored, which takes a while where games are played again
    on_trouble   (sentence): called where something goes wrong that does not end the run
    """

    def __init__(self, trainer: Trainer, state: TrainingState | None = None) -> None:
        self.trainer = trainer
        self.snapshot = trainer.theta.copy()
        self.state = state
        self.stopped = self.interrupted = False
        self.ended_by: EndedBySignal | None = None
        self.keeps_state = False
        self.pause_at: Callable[[int], bool] | None = None
        self.on_restore: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[str], None] = lambda text: None
        self.anew = False
        self.measured: dict[str, Any] = {}
        # An environment never leaves the thread that it is made in.
        self._threads: list[RunThread | NoThread] = []
        # Stop: at once, whatever is lost. Pause: between two calls of the loop, to go on later.
        self._stop, self._pause = threading.Event(), threading.Event()
        self._turns = [0] * len(trainer.threads)
        self._segments = [1] * len(trainer.threads)
        self._checkpoints, self._checkpoint_at = Every(trainer.config.checkpoint_every), time.perf_counter()
        self._parameters_checked_at = time.perf_counter()
        self._failure: Exception | None = None

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self.trainer.progress(self.interrupted)

    def stop(self) -> None:
        """Let the run end early and in good order. A callback of `run` calls this, or the caller of `run` before it."""
        self.stopped = True
        self._pause.set()

    def run(
        self,
        on_progress: OnProgress = lambda progress: None,
        on_checkpoint: OnCheckpoint = lambda theta: None,
        on_pause: OnPause = lambda: None,
    ) -> None:
        """Build the trainer, run it to its end, and close it. The callbacks are called from this thread.

        on_progress    gets the Progress, every POLL_SECONDS
        on_checkpoint  gets a finite copy of theta, which is valid until the next call: at the start, where a checkpoint
                       is due, and at the end
        on_pause       called while all workers pause, before the state of a checkpoint is taken

        Raises WorkerError if a worker failed (after the last checkpoint), NotFiniteError if a loss, a gradient or a
        parameter is NaN or infinite (without it), and what a callback raises. The first KeyboardInterrupt or
        EndedBySignal ends the run early, but one during compilation, before the workers start, is passed on, and so is
        a second one.
        """
        patient = True
        try:
            with explain_lack(self.trainer.config.workers):
                for core in self.trainer.threads:
                    self._threads.append(RunThread(core) if HAS_THREADS else NoThread())
                self.trainer.build(self._call)
            self._restore()
            if self._take_checkpoint(on_pause):
                on_checkpoint(self.snapshot)
                self._run_threads(on_progress, on_checkpoint, on_pause)
            self._finish(on_checkpoint, on_pause)
        except (WorkerError, NotFiniteError) as error:
            self._fail(error)
        except (KeyboardInterrupt, EndedBySignal):  # the second one, or one during compilation
            patient = False
            raise
        finally:
            self._close(patient)
        if self._failure:
            raise self._failure

    def _finish(self, on_checkpoint: OnCheckpoint, on_pause: OnPause) -> None:
        """Make the last checkpoint. After a failure it has no state: a worker has ended in the middle of a segment."""
        if isinstance(self._failure, NotFiniteError):
            return
        self.keeps_state = self.keeps_state and not self._failure
        if self._take_checkpoint(on_pause):
            on_checkpoint(self.snapshot)

    def _restore(self) -> None:
        """Write the state to go on from, if there is one, into the trainer."""
        state = self.state
        if state is None:
            return
        self.on_restore()
        restore_trainer(self.trainer, state)
        self._turns[0] = state.numbers.turn % len(self.trainer.workers_of(0))
        restored = self._in_each_thread(lambda i: restore_environment(self.trainer, i, state))
        self.anew = not all(restored)

    def _in_each_thread(self, function: Callable[[int], Any]) -> list[Any]:
        """Call a function for each worker, in the thread that plays it, and return the results."""
        workers = range(self.trainer.config.workers)
        calls = [self._submit(i % len(self._threads), function, i) for i in workers]
        return [call.result() for call in calls]

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

    def _run_threads(self, on_progress: OnProgress, on_checkpoint: OnCheckpoint, on_pause: OnPause) -> None:
        trainer = self.trainer
        # A call that plays nothing compiles the rest. The other threads start after it.
        self._call(0, trainer.run_segments_of, 0, 0)
        trainer.clock.start()
        runs: list[Future] = []
        checkpoint_due = False
        try:
            with self._ending_in_good_order():
                while not self.stopped:
                    self._pause.clear()
                    runs = [thread.submit(self._run_workers_of, i) for i, thread in enumerate(self._threads)]
                    if checkpoint_due:  # it is written while the workers go on
                        on_checkpoint(self.snapshot)
                    checkpoint_due = self._watch(runs, on_progress)
                    if not any(run.result() for run in runs) or self._stop.is_set() or self.stopped:
                        break
                    if checkpoint_due:
                        checkpoint_due = self._take_checkpoint(on_pause)
                    else:
                        on_pause()
        finally:
            self._pause.set()
            wait(runs)
        trainer.clock.stop()

    @contextlib.contextmanager
    def _ending_in_good_order(self) -> Iterator[None]:
        """End the run early where the `with` block is interrupted, or fails."""
        try:
            yield
        except EndedBySignal as signal:
            self.interrupted, self.ended_by = True, signal
        except (KeyboardInterrupt, BrokenPipeError):  # a broken pipe: nobody reads the output any more
            self.interrupted = True
        except Exception as error:  # of a callback, such as a periodic evaluation
            self._fail(error)

    def _watch(self, runs: list[Future], on_progress: OnProgress) -> bool:
        """Call the callback and check the parameters until all threads have ended, or pause.

        Return whether they pause for a checkpoint. Without threads the workers pause often, and this looks once.
        """
        while True:
            ended, running = wait(runs, POLL_SECONDS)
            for run in ended:
                run.result()  # raises what `_run_workers_of` does not catch
            if not running and HAS_THREADS:
                return self._pause.is_set()
            on_progress(self.progress())
            if not is_main_thread() and main_thread_was_interrupted():
                raise KeyboardInterrupt
            if self._checkpoint_is_due():
                self._pause.set()
            if time.perf_counter() - self._parameters_checked_at > PARAMETER_CHECK_SECONDS:
                self._parameters_checked_at = time.perf_counter()
                self._take_snapshot()
            if not running:
                return self._pause.is_set()

    def _checkpoint_is_due(self) -> bool:
        """Return whether the workers should pause for a checkpoint. The one at the end of the run is made anyway."""
        config, steps = self.trainer.config, self.trainer.steps
        seconds = time.perf_counter() - self._checkpoint_at
        crossed = self._checkpoints.is_due(steps) and seconds >= LEAST_SECONDS
        return steps < config.steps and (crossed or 0 < config.checkpoint_minutes * 60 <= seconds)

    def _run_workers_of(self, thread: int) -> bool:
        """Run the workers of a thread in turn until the run ends or pauses. Return whether it pauses.

        Workers that share a thread change between two calls of the loop. If each worker had its own thread, the system
        would stop most of them in the middle of a segment, until all others had run. A gradient would then be as old
        as the number of workers; now it is as old as the number of cores. On two cores with sixteen threads, the Q
        values of one-step Sarsa diverged.

        In deterministic mode a call is always one segment, so that the run repeats.

        Where there is no thread to look after this one, it pauses after POLL_SECONDS.
        """
        trainer, workers = self.trainer, self.trainer.workers_of(thread)
        deterministic = trainer.config.deterministic
        pause_at = self.pause_at if deterministic else None
        longest = CALL_SECONDS if len(workers) == 1 else SHARED_CALL_SECONDS
        until = math.inf if HAS_THREADS else time.perf_counter() + POLL_SECONDS
        try:
            while True:
                started = time.perf_counter()
                if started > until:
                    return True
                for turn in range(self._turns[thread], len(workers)):
                    if self._stop.is_set():
                        return False
                    if self._pause.is_set() or (pause_at and pause_at(trainer.steps)):
                        return True
                    if not trainer.run_segments_of(workers[turn], self._segments[thread]):
                        return False
                    self._turns[thread] = (turn + 1) % len(workers)
                seconds = time.perf_counter() - started
                if not deterministic and seconds < longest * len(workers):
                    self._segments[thread] = min(2 * self._segments[thread], MAX_SEGMENTS)
        except Exception as error:
            self._fail(error)
            return False

    def _take_checkpoint(self, on_pause: OnPause) -> bool:
        """Take a snapshot, and a state if it is wanted, while no worker plays. Return false where it is not finite."""
        finite = self._take_snapshot()
        if finite:
            on_pause()
            self._checkpoints.crossed(self.trainer.steps)
            self._checkpoint_at = time.perf_counter()
            if self.keeps_state:
                self.state = self._copy_state()
        return finite

    def _copy_state(self) -> TrainingState:
        saved = self._in_each_thread(lambda i: self.trainer.envs[i].save())
        return copy_state(self.trainer, saved, self._turns[0])

    def _take_snapshot(self) -> bool:
        """Copy theta. Return false, and fail, if the copy is not finite."""
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
