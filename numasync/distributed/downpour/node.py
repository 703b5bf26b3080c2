"""A node: the threads of one machine train on its own theta, and a thread beside them exchanges it with the others.

See `parameter_server.py` for the equation. The thread of the exchanges reads and writes theta as any other thread does,
without a lock. The threads that train go on during an exchange. They wait only where the answer takes longer than
sync_steps steps:

    an exchange begins   sync_steps steps after the one before
    a worker waits       2 sync_steps steps after the last answered exchange began

So theta of a node is never more than 2 sync_steps steps of its own away from a theta of all nodes.
"""

import contextlib
import dataclasses
import threading
import time
from typing import NamedTuple, Protocol

import numpy as np

from numasync.agent.agent import Agent
from numasync.distributed.downpour.parameter_server import Reply, Report, mean_rows
from numasync.envs.spec import Environment
from numasync.errors import NotFiniteError, WorkerError, one_line
from numasync.learner.counters import COLUMNS
from numasync.learner.loop import Worker
from numasync.learner.optim import OptimizerState
from numasync.runtime.checks import MOST
from numasync.runtime.memory import aligned_copy, aligned_zeros
from numasync.runtime.rng import seed_row
from numasync.training.schedule import Schedule
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer
from numasync.training.workers import final_epsilon

# The workers of launch k of a node draw from the streams after NODE_STREAM + 1024 k. Other streams lie below.
NODE_STREAM, MOST_WORKERS = 5_000_000, 1024

# After how long without an exchange a node asks whether the run stops. How long a worker waits for an answer before it
# looks whether the run stops or pauses. How often a node that is ready asks whether it may begin.
ASK_SECONDS, WAIT_SECONDS, JOIN_SECONDS = 0.5, 0.02, 0.05


class Place(NamedTuple):
    """Which node of a run this is.

    node    its number among the nodes, from 0
    nodes   how many nodes there are
    launch  the number of its launch, see `Board`
    """

    node: int
    nodes: int
    launch: int


class Setup(NamedTuple):
    """What a node begins with.

    schedule  how the learning rate falls; None: to 0 over the run
    g         what its optimiser remembers, (n_parameters,); None for nothing
    measures  whether it measures entropy and value, for callbacks
    """

    schedule: Schedule | None = None
    g: np.ndarray | None = None
    measures: bool = False


NEW = Setup()  # of a run that begins


class Link(Protocol):
    """How a node reaches the parameters. Each method is as in `ParameterServer`, for the whole theta."""

    def join(self, launch: int) -> tuple[np.ndarray, Reply]:
        """Return theta and a Reply."""

    def exchange(self, delta: np.ndarray, report: Report) -> tuple[np.ndarray, Reply]:
        """Add a delta, and return the new theta and a Reply."""

    def ask(self, launch: int) -> Reply:
        """Return a Reply."""


class NodeTrainer(Trainer):
    """A Trainer whose T counts the steps of all nodes, and whose workers wait for a late exchange.

    T is the sum of the rows of `shared.steps`. One more row has the steps of the other nodes. So whatever depends on T,
    in compiled code too, counts over all nodes: the learning rate, epsilon, the copies of the target network, the end.

    agent  the agent of the run
    place  which node this is
    setup  what it begins with

    It also has these attributes:

    sent  the steps of this node at its last answered exchange
    due   set where an exchange is due
    """

    def __init__(self, agent: Agent, place: Place, setup: Setup = NEW) -> None:
        self.place, self.g = place, setup.g
        self.sent = 0
        self.due, self._answered, self._lock = threading.Event(), threading.Event(), threading.Lock()
        # The program that has started the run writes its checkpoints.
        config = dataclasses.replace(agent.config, checkpoint_every=MOST, checkpoint_minutes=0.0)
        super().__init__(config, agent.spec, agent.network, agent.theta, setup.schedule)
        if setup.measures:
            self.measure_outputs()
        rows = aligned_zeros((config.workers + 1, self.shared.steps.shape[1]), np.int64)
        self.shared = self.shared._replace(steps=rows)
        # The steps of each worker, and the steps that the call that it is in may still make.
        self._planned = np.zeros(config.workers, np.int64)

    @property
    def own_steps(self) -> int:
        """The steps of this node."""
        return int(self.shared.steps[:-1, 0].sum())

    @property
    def unsent(self) -> int:
        """The steps of this node since its last answered exchange began."""
        return self.own_steps - self.sent

    def take_answer(self, sent: int) -> None:
        """Let the workers go on: what they had made when they had made `sent` steps is with the others."""
        self.sent = sent
        self._answered.set()

    def set_others(self, steps: int) -> None:
        """Note the steps of the other nodes."""
        self.shared.steps[-1, 0] = steps

    def run_segments_of(self, i: int, segments: int) -> bool:
        """As `Trainer.run_segments_of`. Play fewer segments where an exchange comes near, none where it is late."""
        if segments == 0:
            return super().run_segments_of(i, 0)
        segments = self._take_room(i, segments)
        if segments == 0:
            self._wait_for_answer()
            return True
        try:
            return super().run_segments_of(i, segments)
        finally:
            self._planned[i] = self.shared.steps[i, 0]  # an episode that ends makes a segment shorter
            if self.unsent >= self.config.sync_steps:
                self.due.set()

    def _take_room(self, i: int, segments: int) -> int:
        """Return how many of these segments worker i may play now, and note their steps as planned.

        A call ends where an exchange is due, and each thread gets its share of the way there.
        """
        interval, t_max = self.config.sync_steps, self.config.t_max
        with self._lock:
            planned = int(self._planned.sum()) - self.sent
            if planned >= 2 * interval:
                return 0
            room = (interval if planned < interval else 2 * interval) - planned
            segments = min(segments, max(room // (t_max * len(self.threads)), 1))
            self._planned[i] += segments * t_max
        return segments

    def _wait_for_answer(self) -> None:
        """Wait until the exchange that is under way is answered, a moment at most."""
        self._answered.clear()
        if self._planned.sum() - self.sent >= 2 * self.config.sync_steps:  # the answer has not come meanwhile
            self._answered.wait(WAIT_SECONDS)

    def _make_worker(self, i: int, env: Environment, optimizer_state: OptimizerState) -> Worker:
        config, place = self.config, self.place
        if self.g is not None:
            optimizer_state.values[:] = self.g
        worker = super()._make_worker(i, env, optimizer_state)
        stream = NODE_STREAM + MOST_WORKERS * place.launch + i
        epsilon = final_epsilon(place.node * config.workers + i, place.nodes * config.workers, config.seed)
        return worker._replace(rng=aligned_copy(seed_row(config.seed, stream)), epsilon_final=epsilon)


class Exchanger:
    """Exchanges the theta of a trainer with the other nodes.

    trainer  a NodeTrainer, which has been built before `begin` is called
    link     how to reach the parameters

    It also has these attributes:

    reply         the last Reply
    lost          the steps of this node that came too late to be taken
    lost_learned  what its workers have learned in those steps, float64 (COLUMNS,)
    """

    def __init__(self, trainer: NodeTrainer, link: Link) -> None:
        self.trainer, self.link = trainer, link
        self.weight = np.float32(trainer.config.delta_weight or weight_of(trainer.place.nodes))
        self.base, self.sent_theta, self.delta = (trainer.theta.copy() for _ in range(3))
        self.reply = Reply(0)
        self.lost = self.bytes = 0
        self.lost_learned, self._sent_learned = np.zeros(COLUMNS), np.zeros(COLUMNS)
        self.seconds = 0.0

    def begin(self) -> None:
        """Wait until the nodes begin, and take theta and T as they are then."""
        trainer, launch = self.trainer, self.trainer.place.launch
        theta, reply = self.link.join(launch)
        while not (reply.begins or reply.stops):
            time.sleep(JOIN_SECONDS)
            theta, reply = self.link.join(launch)
        self.base[:] = theta
        for own in (trainer.shared.theta, trainer.shared.theta_target):
            own[:] = theta
        trainer.shared.target_copies[0] = reply.others // trainer.config.target_interval
        self._take(reply)

    def is_due(self) -> bool:
        """Return whether the node has made sync_steps steps since its last exchange."""
        return self.trainer.unsent >= self.trainer.config.sync_steps

    def exchange(self) -> None:
        """Send what this node has changed, and take what the others have changed. Threads may train meanwhile."""
        trainer, theta = self.trainer, self.trainer.theta
        made, learned = trainer.own_steps, trainer.learned  # steps before theta: a step that counts is in delta
        np.copyto(self.sent_theta, theta)
        np.subtract(self.sent_theta, self.base, out=self.delta)
        self.delta *= self.weight
        started = time.perf_counter()
        found, reply = self.link.exchange(self.delta, self._report(made, learned))
        self.seconds += time.perf_counter() - started
        self.bytes += self.delta.nbytes + found.nbytes
        np.subtract(found, self.sent_theta, out=self.delta)
        theta += self.delta
        np.copyto(self.base, found)
        if not reply.taken:
            self.lost += made - trainer.sent
            self.lost_learned += learned - self._sent_learned
        self._sent_learned = learned
        self._take(reply)
        trainer.take_answer(made)

    def ask(self) -> None:
        """Take what the node must know of the others, without an exchange."""
        self._take(self.link.ask(self.trainer.place.launch))

    def _take(self, reply: Reply) -> None:
        self.reply = reply
        self.trainer.set_others(reply.others - self.lost)  # T has no lost steps

    def _report(self, made: int, learned: np.ndarray) -> Report:
        """made: the steps of this node, lost ones too. learned: what its workers have counted in them."""
        trainer = self.trainer
        episodes = np.array(trainer.episode_log.take(), np.float64).reshape(-1, 4)[:, [0, 1, 3]]
        g = mean_g(trainer) if self.reply.wants_g else None
        steps, learned = made - self.lost, learned - self.lost_learned
        return Report(trainer.place.launch, steps, learned, episodes, self.bytes, self.seconds, g)


def weight_of(nodes: int) -> float:
    """Return the largest weight w <= 1 of a delta with which the nodes never overshoot together, however late they are.

    Say that theta* is where all nodes go. At theta each makes delta = c (theta* - theta), with 0 < c < 1: the later it
    sends, the nearer c is to 1. The sum of N weighted deltas leaves (1 - w N c) (theta* - theta). That shrinks for
    every c where w N <= 2.
    """
    return min(1.0, 2 / nodes)


def mean_g(trainer: Trainer) -> np.ndarray:
    """Return what the optimiser remembers, a mean over the workers where each has its own."""
    states = {id(worker.optimizer_state): worker.optimizer_state.values for worker in trainer.workers}
    return mean_rows(list(states.values()))


class Node:
    """Runs a NodeTrainer in threads, and its exchanges in a thread beside them.

    trainer  what it runs
    link     how to reach the parameters
    """

    def __init__(self, trainer: NodeTrainer, link: Link) -> None:
        self.exchanger = Exchanger(trainer, link)
        self.supervisor = Supervisor(trainer)
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def run(self) -> None:
        """Train until the run stops, and send what is left. Raises what `Supervisor.run` raises, or a lost link."""
        begun = False

        def on_checkpoint(theta: np.ndarray) -> None:
            """Begin, once everything is compiled; the second call comes at the end."""
            nonlocal begun
            if not begun:
                begun = True
                self.exchanger.begin()
                if self.exchanger.reply.stops:
                    self.supervisor.stop()
                self.thread.start()

        try:
            self.supervisor.run(on_checkpoint=on_checkpoint)
        finally:
            self.ended.set()
            self.exchanger.trainer.due.set()
            with contextlib.suppress(RuntimeError):  # it has not been started
                self.thread.join()
        if self.error:
            raise self.error
        self.exchanger.exchange()

    def _serve(self) -> None:
        try:
            self._exchange_until_the_end()
        except Exception as error:  # the actor with the parameters is gone
            self.error = error
            self.supervisor.stop()

    def _exchange_until_the_end(self) -> None:
        exchanger, due = self.exchanger, self.exchanger.trainer.due
        while True:
            due.wait(ASK_SECONDS)
            due.clear()
            if self.ended.is_set():
                return
            if exchanger.is_due():
                exchanger.exchange()
            else:
                exchanger.ask()
            if exchanger.reply.stops:
                self.supervisor.stop()
                return


def run_node(trainer: NodeTrainer, link: Link) -> tuple[str, str] | None:
    """Run a node to its end. Return the name and the sentence of an error that ends the whole run, or None.

    An exception would lose its class on its way to another process. Raises what is no error of the run.
    """
    try:
        Node(trainer, link).run()
    except (NotFiniteError, WorkerError, ValueError) as error:
        cause = f" ({type(error.__cause__).__name__})" if error.__cause__ and not isinstance(error, ValueError) else ""
        return type(error).__name__, one_line(error).rstrip(".") + f"{cause}."
    return None
