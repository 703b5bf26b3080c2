"""Whole runs on a cluster of Ray: an executor that gives each run cores of its own, and brings its folder home."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from numasync.distributed.folder_bytes import read_run_files, write_files
from numasync.distributed.nodes import Node, Nodes, Options, check_nodes, on_node
from numasync.distributed.on_node import FOLDER, Message, Rows, Run, play_on_node
from numasync.distributed.ray_cluster import connect
from numasync.errors import WorkerError, one_line

# How often a run that is lost with its node or its process is begun again, or gone on with.
RETRIES = 3
WAIT_SECONDS = 0.5
NODES_SECONDS = 5.0  # between two looks at which nodes there are


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
        self.given_to, self.node, self.steps = "", "", 0

    def begin(self, run: Run, node: Node) -> dict[str, bytes]:
        """Note what is played where, and return what its folder holds here."""
        self.run, self.given_to, self.node, self.steps = run, node.id, "", 0
        return read_run_files(Path(run[FOLDER])) if FOLDER in run else {}

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

    nodes    which nodes play, and how many cores each run has for itself
    retries  how often a run may be lost

    It also has these attributes, which are called from another thread:

    on_progress  is told what is played now
    prepare      gets a run whenever it begins, and returns what to play in its place; None: nothing, it has no rows
    """

    def __init__(self, nodes: Nodes, retries: int = RETRIES) -> None:
        self.nodes, self.ray, self.retries = nodes, nodes.ray, retries
        self.on_progress: Callable[[list[Playing]], None] = lambda playing: None
        self.prepare: Callable[[Run], Run | None] = lambda run: run
        self._task = self.ray.remote(num_cpus=nodes.cores, max_retries=0, num_returns="streaming")(play_on_node)
        self._waiting: deque[Job] = deque()
        self._playing: dict[Any, Job] = {}
        self._changed, self._closed = threading.Condition(), False
        self._error: BaseException | None = None
        self._fit: list[Node] = []
        self._looked = -NODES_SECONDS
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Run], Rows], run: Run, /) -> "Future[Rows]":
        """Call function(run) on a node at some time, and return the Future of its rows."""
        job = Job(function, run)
        with self._changed:
            if self._error:
                job.future.set_exception(self._error)
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Begin no more runs, and end the ones that are played. Their folders keep their last training states."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        """Play runs until the pool is closed. What is raised here is raised where the rows are waited for."""
        try:
            while self._begin_runs():
                self._hear()
                self.on_progress([Playing(job.run, job.node, job.steps) for job in self._playing.values()])
        except BaseException as error:
            with self._changed:
                self._error = error
                for job in (*self._playing.values(), *self._waiting):
                    if not job.future.done():
                        job.future.set_exception(error)
        for answers in self._playing:
            self.ray.cancel(answers, force=True)

    def _begin_runs(self) -> bool:
        """Give runs to nodes that have room, once there are any. The others can still be cancelled here.

        Returns whether the pool is open.
        """
        with self._changed:
            while not (self._closed or self._waiting or self._playing):
                self._changed.wait()
            if self._waiting and time.monotonic() - self._looked >= NODES_SECONDS:
                self._fit, self._looked = self.nodes.look(), time.monotonic()
            while not self._closed and self._waiting and (node := self._node_with_room()):
                job = self._waiting[0]
                if job.future.running() or job.future.set_running_or_notify_cancel():
                    self._begin(job, node)
                self._waiting.popleft()
            return not self._closed

    def _node_with_room(self) -> Node | None:
        """Return the node that has room for the most runs; None where no node has room for one."""
        given = Counter(job.given_to for job in self._playing.values())
        rooms = [(node.cores // self.nodes.cores - given[node.id], node) for node in self._fit]
        room, node = max(rooms, key=lambda pair: pair[0], default=(0, None))
        return node if room > 0 else None

    def _begin(self, job: Job, node: Node) -> None:
        """Give a run to a node."""
        run = self.prepare(job.run)
        if run is None:
            job.future.set_result([])
            return
        files = job.begin(run, node)
        task = self._task.options(scheduling_strategy=on_node(self.ray, node.id))
        self._playing[task.remote(job.function, run, self.nodes.cores, files)] = job

    def _hear(self) -> None:
        """Take a message of each run that has one."""
        if not self._playing:  # every node is full, or looks at itself
            with self._changed:
                self._changed.wait(WAIT_SECONDS)
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
            except self.ray.exceptions.TaskUnschedulableError:  # the node was dead already
                self._fit = [node for node in self._fit if node.id != job.given_to]
                self._wait_again(answers, job)
            except self.ray.exceptions.RayError as error:
                self._lose(answers, job, str(error).strip().splitlines()[0])
            except OSError as error:
                job.future.set_exception(error)
            if job.future.done():
                self._playing.pop(answers, None)

    def _lose(self, answers: Any, job: Job, reason: str) -> None:
        """Begin a run again that is lost with its process or its node, unless it was lost too often."""
        job.lost += 1
        if job.lost > self.retries:
            text = f"A run was lost {job.lost} times with its node, the last time because of this: {one_line(reason)}"
            job.future.set_exception(WorkerError(text))
        else:
            host = next((node.host for node in self._fit if node.id == job.given_to), "a node")
            loss = f"loss {job.lost} of {self.retries} at most"
            self.nodes.on_trouble(f"A run on {host} was lost with its node or its process; it goes on ({loss}).")
            self._looked = -NODES_SECONDS
            self._wait_again(answers, job)

    def _wait_again(self, answers: Any, job: Job) -> None:
        """Have a run be the next one that begins."""
        with self._changed:
            del self._playing[answers]
            self._waiting.appendleft(job)


@contextmanager
def ray_pool(address: str, cores: int = 1, retries: int = RETRIES, envs: Sequence[Options] = ()) -> Iterator[RayPool]:
    """Connect to a cluster and give an executor of whole runs, for the length of a `with` block.

    address  see `ray_cluster.connect`
    cores    how many cores each run has for itself
    retries  how often a run may be lost with its node
    envs     options whose environments each node must be able to make

    Raises InputError where there is no Ray, no cluster, or a node of it cannot play the runs.
    """
    with connect(address) as ray:
        pool = RayPool(Nodes(ray, cores, envs, check_nodes(ray, cores, envs)), retries)
        try:
            yield pool
        finally:
            pool.close()
