"""A node: the threads of one machine train on its own theta, and a thread beside them exchanges it with the others.

See `parameter_server.py` for the equation. The threads never wait for an exchange. It reads and writes theta as any
other thread does, without a lock.
"""

import contextlib
import dataclasses
import threading
import time
from typing import NamedTuple, Protocol

import numpy as np

from numasync.agent.agent import Agent
from numasync.distributed.parameter_server import Reply, Report, mean_rows
from numasync.envs.spec import Environment
from numasync.errors import NotFiniteError, WorkerError, one_line
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

# How long the thread of the exchanges sleeps between two looks at the steps, and after how long without an exchange it
# asks whether the run stops.
SHORTEST_SLEEP, LONGEST_SLEEP, ASK_SECONDS = 0.0002, 0.02, 0.5
JOIN_SECONDS = 0.05


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
    """A Trainer whose T counts the steps of all nodes.

    T is the sum of the rows of `shared.steps`. One more row has the steps of the other nodes. So whatever depends on T,
    in compiled code too, counts over all nodes: the learning rate, epsilon, the copies of the target network, the end.

    agent  the agent of the run
    place  which node this is
    setup  what it begins with
    """

    def __init__(self, agent: Agent, place: Place, setup: Setup = NEW) -> None:
        self.place, self.g = place, setup.g
        # The program that has started the run writes its checkpoints.
        config = dataclasses.replace(agent.config, checkpoint_every=MOST, checkpoint_minutes=0.0)
        super().__init__(config, agent.spec, agent.network, agent.theta, setup.schedule)
        if setup.measures:
            self.measure_outputs()
        rows = aligned_zeros((config.workers + 1, self.shared.steps.shape[1]), np.int64)
        self.shared = self.shared._replace(steps=rows)

    @property
    def own_steps(self) -> int:
        """The steps of this node."""
        return int(self.shared.steps[:-1, 0].sum())

    def set_others(self, steps: int) -> None:
        """Note the steps of the other nodes."""
        self.shared.steps[-1, 0] = steps

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

    trainer     a NodeTrainer, which has been built before `begin` is called
    link        how to reach the parameters
    sync_steps  the steps of this node between two exchanges

    It also has these attributes:

    reply  the last Reply
    sent   the steps of this node that have been sent
    """

    def __init__(self, trainer: NodeTrainer, link: Link, sync_steps: int) -> None:
        self.trainer, self.link, self.sync_steps = trainer, link, sync_steps
        self.base, self.delta = trainer.theta.copy(), np.zeros_like(trainer.theta)
        self.reply = Reply(0, False, False, False)
        self.sent = self.bytes = 0
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
        return self.trainer.own_steps - self.sent >= self.sync_steps

    def exchange(self) -> None:
        """Send what this node has changed, and take what the others have changed. Threads may train meanwhile."""
        theta, report = self.trainer.theta, self._report()
        np.subtract(theta, self.base, out=self.delta)
        started = time.perf_counter()
        found, reply = self.link.exchange(self.delta, report)
        self.seconds += time.perf_counter() - started
        self.bytes += self.delta.nbytes + found.nbytes
        self.base += self.delta  # what theta was when it was sent
        np.subtract(found, self.base, out=self.base)  # what the others have changed
        theta += self.base
        np.copyto(self.base, found)
        self.sent = report.steps
        self._take(reply)

    def ask(self) -> None:
        """Take what the node must know of the others, without an exchange."""
        self._take(self.link.ask(self.trainer.place.launch))

    def _take(self, reply: Reply) -> None:
        self.reply = reply
        self.trainer.set_others(reply.others)

    def _report(self) -> Report:
        trainer = self.trainer
        steps = trainer.own_steps  # before theta is read: a step that counts is in the delta
        episodes = np.array(trainer.episode_log.take(), np.float64).reshape(-1, 4)[:, [0, 1, 3]]
        g = mean_g(trainer) if self.reply.wants_g else None
        return Report(trainer.place.launch, steps, trainer.learned, episodes, self.bytes, self.seconds, g)


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
        self.exchanger = Exchanger(trainer, link, trainer.config.sync_steps)
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
        exchanger, trainer = self.exchanger, self.exchanger.trainer
        before = asked = time.perf_counter()
        sleep = SHORTEST_SLEEP
        while not self.ended.wait(sleep):
            steps, now = trainer.own_steps - exchanger.sent, time.perf_counter()
            if steps >= exchanger.sync_steps:
                exchanger.exchange()
                before = asked = now
            elif now - asked > ASK_SECONDS:
                exchanger.ask()
                asked = now
            if exchanger.reply.stops:
                self.supervisor.stop()
                return
            # The time that the missing steps take at the pace since the last exchange.
            pace = steps / (now - before) if steps and now > before else 0.0
            left = (exchanger.sync_steps - steps) / pace if 0 < steps < exchanger.sync_steps and pace else 0.0
            sleep = min(max(left, SHORTEST_SLEEP), LONGEST_SLEEP)


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
