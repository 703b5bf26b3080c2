"""The program that starts a run over several nodes. It looks at the run, evaluates it, and writes its folder.

For `training/run.py` it is a Supervisor with a Trainer, as for a run in threads. It plays no steps itself.
"""

import time

import numpy as np

from numasync.agent.agent import Agent
from numasync.agent.environment import env_options_of
from numasync.distributed.downpour.fleet import Fleet, choose_machines
from numasync.distributed.downpour.node import Setup
from numasync.distributed.downpour.parameter_server import Board, View
from numasync.distributed.downpour.ray_actors import RayLink, start_parameters
from numasync.distributed.nodes import Nodes, check_nodes
from numasync.distributed.ray_cluster import check_address, connect, import_ray
from numasync.envs.objects import is_local
from numasync.errors import InputError, NotFiniteError, WorkerError
from numasync.learner.counters import COLUMNS
from numasync.runtime.interrupts import is_main_thread, main_thread_was_interrupted
from numasync.training.schedule import Schedule, Stopwatch
from numasync.training.state import Numbers, TrainingState
from numasync.training.supervisor import OnCheckpoint, OnPause, OnProgress, Supervisor
from numasync.training.trainer import Trainer
from numasync.training.workers import final_epsilon

# How often the program looks at the parameters: less often where theta has more bytes.
LOOK_SECONDS, LOOK_SECONDS_OF_LARGE, LARGE_BYTES = 0.1, 0.5, 2**20
# How long the nodes have to send their last steps after Ctrl-C.
LAST_SECONDS = 20.0
# A training state has the g that the nodes had this long before, at most.
G_SECONDS = 2.0


class ClusterTrainer(Trainer):
    """What the program knows of a run over nodes. It builds no workers.

    agent     the agent of the run
    schedule  how the learning rate falls; by default to 0 over the run
    """

    def __init__(self, agent: Agent, schedule: Schedule | None = None) -> None:
        super().__init__(agent.config, agent.spec, agent.network, agent.theta, schedule)
        self._steps, self._learned = 0, np.zeros(COLUMNS)
        self.launches = 0
        self.g: np.ndarray | None = None
        self.measures = False

    @property
    def steps(self) -> int:
        """T, the steps over all workers of all nodes, at the last look."""
        return self._steps

    @property
    def learned(self) -> np.ndarray:
        """What all workers of all nodes have counted of their learning: float64 (COLUMNS,)."""
        return self._learned

    @property
    def setup(self) -> Setup:
        """What a node begins with now."""
        return Setup(self.schedule, self.g, self.measures)

    def measure_outputs(self) -> None:
        """Let the workers of all nodes measure entropy and value. Call it before the nodes start."""
        self.measures = True

    @property
    def final_epsilons(self) -> list[float]:
        """The final epsilon of each worker of each node."""
        total = self.config.nodes * self.config.workers
        return [final_epsilon(i, total, self.config.seed) for i in range(total)]

    def restore(self, state: TrainingState) -> None:
        """Go on from a training state. Raises InputError where it is none of a run over nodes."""
        try:
            theta, launches, steps = (state.arrays[name] for name in ("theta", "launches", "steps"))
            self.shared.theta[:] = theta[0]
            self.launches, self._steps = int(launches[0]), int(steps.sum())
            self.g = state.arrays["g"][0] if "g" in state.arrays else None
            if self.g is not None and self.g.shape != self.theta.shape:
                raise ValueError
        except (KeyError, ValueError, IndexError) as error:
            raise InputError("The training state is none of a run over several nodes.") from error
        self.episode_log.restore(state.numbers.episodes, state.numbers.returns)
        self.clock = Stopwatch(state.numbers.seconds)

    def take(self, theta: np.ndarray, view: View) -> None:
        """Note how far the run is."""
        self.shared.theta[:] = theta
        self._steps, self._learned = view.steps, view.learned
        self.g = self.g if view.g is None else view.g
        rows = [(score, length, T) for score, length, T in view.episodes.tolist()]
        self.episode_log.add(0, rows, self.clock.seconds)

    def state(self) -> TrainingState:
        """Return the training state: no environments, because the episodes of nodes begin anew."""
        steps = np.zeros((self.config.workers, 1), np.int64)
        steps[0] = self.steps
        arrays = {"theta": self.theta[None].copy(), "steps": steps, "launches": np.array([self.launches])}
        if self.g is not None:
            arrays["g"] = self.g[None]
        progress, schedule = self.progress(), self.schedule
        numbers = Numbers(progress.seconds, progress.episodes, progress.returns, 0, schedule.lr, schedule.steps)
        return TrainingState(arrays, numbers)


class ClusterSupervisor(Supervisor):
    """Runs nodes on a cluster until T_max, a failure, Ctrl-C or another signal that ends the program.

    agent     the agent of the run
    state     the training state to go on from; None to begin
    schedule  how the learning rate falls; by default to 0 over the run
    """

    trainer: ClusterTrainer

    def __init__(self, agent: Agent, state: TrainingState | None, schedule: Schedule | None) -> None:
        check_options(agent)
        import_ray()
        check_address(str(agent.config.ray))
        super().__init__(ClusterTrainer(agent, schedule), state)
        self.agent = agent
        large = self.trainer.theta.nbytes > LARGE_BYTES
        self._begun, self._asked = False, 0.0  # whether the nodes have begun; when they were asked for g
        self._look_seconds = LOOK_SECONDS_OF_LARGE if large else LOOK_SECONDS

    def run(
        self,
        on_progress: OnProgress = lambda progress: None,
        on_checkpoint: OnCheckpoint = lambda theta: None,
        on_pause: OnPause = lambda: None,
    ) -> None:
        """Start the nodes, look at them until the run ends, and end them. As `Supervisor.run`."""
        trainer, config = self.trainer, self.trainer.config
        for job in trainer.more_jobs:
            job.compile()
        if self.state:
            trainer.restore(self.state)
        with connect(str(config.ray)) as ray:
            envs = [env_options_of(vars(config))]
            fit = check_nodes(ray, 1, envs)
            nodes = Nodes(ray, 1, envs, fit)
            nodes.on_trouble = self.on_trouble
            machines = choose_machines(fit, config.nodes, str(config.ray))
            board = Board(config.nodes, config.sync_steps, trainer.steps)
            self.link = RayLink(start_parameters(ray, trainer.theta, config.shards, board))
            start = self.agent, trainer.setup, self.link, trainer.launches
            self.fleet = Fleet(ray, nodes, machines, *start, self.on_trouble)
            try:
                if self._take_checkpoint(on_pause):
                    on_checkpoint(self.snapshot)
                    self.fleet.start()
                    self._watch_nodes(on_progress, on_checkpoint, on_pause)
                self._finish(on_checkpoint, on_pause)
            finally:
                self.fleet.end()
        if self._failure:
            raise self._failure

    def _watch_nodes(self, on_progress: OnProgress, on_checkpoint: OnCheckpoint, on_pause: OnPause) -> None:
        """Look at the nodes until all have ended. Their last steps arrive here, whatever ends the run."""
        trainer = self.trainer
        try:
            with self._ending_in_good_order():
                told = False
                while self.fleet.check(self._look_seconds, not self.stopped and trainer.steps < trainer.config.steps):
                    self._look()
                    on_progress(self.progress())
                    if not is_main_thread() and main_thread_was_interrupted():
                        raise KeyboardInterrupt
                    if self.stopped and not told:
                        self.link.parts[0].stop.remote()
                        told = True
                    if not self._take_snapshot():
                        break
                    if self._checkpoint_is_due() and self._take_checkpoint(on_pause):
                        on_checkpoint(self.snapshot)
        finally:
            self._take_last_steps()
        trainer.clock.stop()

    def _take_last_steps(self) -> None:
        """Let the nodes stop, and take what they send."""
        self.link.parts[0].stop.remote()
        until = time.monotonic() + LAST_SECONDS
        try:
            while self.fleet.check(self._look_seconds, replaces=False) and time.monotonic() < until:
                pass
            self._look()
        except (WorkerError, NotFiniteError) as error:
            self._fail(error)

    def _look(self) -> None:
        """Take theta and the counts as they are now. Raises WorkerError where the parameters are gone."""
        trainer = self.trainer
        theta, view = self.link.look()
        if view.seconds and not self._begun:
            self._begun = True
            trainer.clock = Stopwatch(trainer.clock.seconds + view.seconds)
            trainer.clock.start()
        if self._begun and time.monotonic() - self._asked > G_SECONDS:
            self._asked = time.monotonic()
            self.link.parts[0].ask_for_g.remote()
        trainer.take(theta, view)
        self.fleet.setup = trainer.setup
        trainer.launches = self.fleet.launches
        seconds = max(view.seconds, 1e-3)
        deaths = self.fleet.deaths
        rate = round(view.measured["bytes"] / seconds)
        self.measured = {"exchanges": {**view.measured, "bytes_per_s": rate, "deaths": deaths}}

    def _copy_state(self) -> TrainingState:
        return self.trainer.state()


def check_options(agent: Agent) -> None:
    """Raise InputError where an agent cannot be trained over several nodes."""
    if agent.network.normalize:
        raise InputError("A run on a Ray cluster cannot normalise vectors by a running mean; leave out normalize.")
    if is_local(agent.config.env):
        raise InputError(
            f"Other processes cannot import the {agent.config.env}; put it into a module and name it 'module:name'."
        )
