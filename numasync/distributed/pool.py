"""Whole runs on a cluster of Ray: an executor that gives each run cores of its own, and brings its folder home."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from numasync.distributed.folder_bytes import read_run_files, write_files
from numasync.distributed.on_node import FOLDER, Message, Rows, Run, play_on_node
from numasync.distributed.ray_cluster import check_nodes, connect, living_nodes
from numasync.errors import WorkerError, one_line

# How often a run that is lost with its node or its process is begun again, or gone on with.
RETRIES = 3
WAIT_SECONDS = 0.5
NODES_SECONDS = 5.0  # between two looks at which nodes live


class Playing(NamedTuple):
    """A run that is played now.

    run    what distinguishes it
    node   Ray's name of its node; "" until it has begun
    steps  how far it is
    """

    run: Run
    node: str
    steps: int


class Job:
    """A run that was given to a pool.

    function, run  what to call, and with what
    future         of its rows
    lost           how often its node or its process has died
    """

    def __init__(self, function: Callable[[Run], Rows], run: Run) -> None:
        self.function, self.run, self.lost = function, run, 0
        self.future: Future[Rows] = Future()
        self.node, self.steps = "", 0

    def files(self) -> dict[str, bytes]:
        """Return what its folder holds here."""
        return read_run_files(Path(self.run[FOLDER])) if FOLDER in self.run else {}

    def take(self, message: Message) -> None:
        """Write down what a node says."""
        self.node, self.steps = message.node, message.steps
        if FOLDER in self.run:
            write_files(Path(self.run[FOLDER]), message.files)
        if message.error is not None:
            self.future.set_exception(message.error)
        elif message.rows is not None:
            self.future.set_result(message.rows)


class RayPool:
    """Plays runs on a cluster. It has the `submit` of concurrent.futures.Executor.

    A run that has the key FOLDER comes back into this folder: whenever there is a new training state, and at its end.
    Where its node dies, it goes on from there on another one.

    ray      Ray, connected
    cores    how many cores each run has for itself
    retries  how often a run may be lost
    """

    def __init__(self, ray: ModuleType, cores: int, retries: int = RETRIES) -> None:
        self.ray, self.cores, self.retries = ray, cores, retries
        self.on_progress: Callable[[list[Playing]], None] = lambda playing: None
        self._task = ray.remote(num_cpus=cores, max_retries=0, num_returns="streaming")(play_on_node)
        self._waiting: deque[Job] = deque()
        self._playing: dict[Any, Job] = {}
        self._changed, self._closed = threading.Condition(), False
        self._slots, self._looked = 0, 0.0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Run], Rows], run: Run, /) -> "Future[Rows]":
        """Call function(run) on a node at some time, and return the Future of its rows."""
        job = Job(function, run)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Begin no more runs, and end those that are played. Their folders keep their last training states."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._waiting or self._playing):
                    self._changed.wait()
                if self._closed:
                    break
                self._begin_runs()
            self._hear()
            self.on_progress([Playing(job.run, job.node, job.steps) for job in self._playing.values()])
        for answers in self._playing:
            self.ray.cancel(answers, force=True)

    def _begin_runs(self) -> None:
        """Give runs to Ray while there is room for more. The others can still be cancelled here."""
        if time.monotonic() - self._looked > NODES_SECONDS:
            self._slots = sum(node.cores // self.cores for node in living_nodes(self.ray))
            self._looked = time.monotonic()
        while self._waiting and len(self._playing) < max(self._slots, 1):
            job = self._waiting.popleft()
            if job.future.running() or job.future.set_running_or_notify_cancel():
                answers = self._task.remote(job.function, job.run, self.cores, job.files())
                self._playing[answers] = job

    def _hear(self) -> None:
        """Take a message of each run that has one."""
        if not self._playing:
            return
        ready, _ = self.ray.wait(list(self._playing), num_returns=len(self._playing), timeout=WAIT_SECONDS)
        for answers in ready:
            job = self._playing[answers]
            try:
                job.take(self.ray.get(next(answers)))
            except StopIteration:
                self._lose(answers, job, "it has ended without a word")
            except self.ray.exceptions.RayTaskError as error:
                job.future.set_exception(error.cause or error)
            except self.ray.exceptions.RayError as error:
                self._lose(answers, job, str(error).strip().splitlines()[0])
            except OSError as error:
                job.future.set_exception(error)
            if job.future.done():
                self._playing.pop(answers, None)

    def _lose(self, answers: Any, job: Job, reason: str) -> None:
        """Begin a run again that is lost with its process or its node, unless it was lost too often."""
        del self._playing[answers]
        job.lost += 1
        self._looked = 0.0
        if job.lost > self.retries:
            text = f"A run was lost {job.lost} times with its node, the last time because of this: {one_line(reason)}"
            job.future.set_exception(WorkerError(text))
        else:
            with self._changed:
                self._waiting.appendleft(job)


@contextmanager
def ray_pool(
    address: str, cores: int = 1, retries: int = RETRIES, envs: list[dict[str, Any]] | None = None
) -> Iterator[RayPool]:
    """Connect to a cluster and give an executor of whole runs, for the length of a `with` block.

    address  see `ray_cluster.connect`
    cores    how many cores each run has for itself
    retries  how often a run may be lost with its node
    envs     options whose environments each node must be able to make

    Raises InputError where there is no Ray, no cluster, or a node of it cannot play the runs.
    """
    with connect(address) as ray:
        check_nodes(ray, cores, envs or [])
        pool = RayPool(ray, cores, retries)
        try:
            yield pool
        finally:
            pool.close()
