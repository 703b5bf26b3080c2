"""The arrays and the workers of a run. `supervisor.py` runs them in threads."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numasync.algorithms import algorithm_for
from numasync.config import Config
from numasync.envs import make_env
from numasync.envs.spec import Environment, EnvSpec
from numasync.errors import InputError, NotFiniteError, WorkerError
from numasync.learner.counters import COLUMNS, address_of_measure
from numasync.learner.loop import MAX_SEGMENTS, MORE, NOT_FINITE, Shared, Worker, compile_loop, loop_jobs, run_segments
from numasync.learner.moments import begin_moments, count_observation, new_moments
from numasync.learner.optim import OPTIMIZERS, OptimizerState, new_state
from numasync.nn.layers import KINDS
from numasync.nn.network import Network
from numasync.runtime.affinity import core_per_thread, cores
from numasync.runtime.compilers import Compilers, Job
from numasync.runtime.memory import CACHE_LINE, aligned_copy, aligned_zeros
from numasync.training.progress import EpisodeLog, Progress
from numasync.training.schedule import Schedule, Stopwatch
from numasync.training.workers import describe_not_finite, make_settings, make_worker, share_scratch


def call_here(thread: int, function: Callable, *arguments: Any) -> Any:
    """Call a function in this thread, whichever thread of the run it is meant for, and return its result."""
    return function(*arguments)


class Trainer:
    """The shared arrays and the workers of one run.

    A Supervisor runs the workers in threads. To run them by hand, in one thread, call `build`, then `run_segments_of`,
    and `close` at the end.

    config   the options of the run
    spec     the environment
    network  the network, see `build_network`
    theta    the parameters to begin with, which are copied; None draws the initial parameters of config.seed
    schedule how the learning rate falls; by default to 0 over the run

    It also has these attributes:

    shared       the arrays that all workers write to
    settings     the numbers that kernels read
    workers      the workers; `build` makes them
    envs         their environments
    threads      for each thread of the run the core that it is pinned to, or None
    episode_log  the training episodes that have ended
    clock        the wall time since the workers started; compilation is not included
    more_jobs    what `build` compiles too, because other threads need it while the workers train
    """

    def __init__(
        self,
        config: Config,
        spec: EnvSpec,
        network: Network,
        theta: np.ndarray | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self.config = config
        self.algorithm = algorithm_for(config.algo, spec)
        self.update = OPTIMIZERS[config.optimizer].kernel
        self.network = network
        self.spec, self.action_map = spec, spec.action_map
        theta = network.initial(config.seed) if theta is None else theta
        self.shared = make_shared(theta, config.workers, network.n_inputs if network.normalize else 0)
        self.schedule = schedule or Schedule(config.lr, config.steps)
        self.settings = make_settings(config, self.algorithm, spec.n_actions, self.schedule, network.normalize)
        self.threads = core_per_thread(1 if config.deterministic else min(config.workers, cores()))
        self.episode_log = EpisodeLog(config.workers)
        self.clock = Stopwatch()
        self.envs: list[Environment] = []
        self.workers: list[Worker] = []
        self.more_jobs: list[Job] = []
        self.functions: tuple[Callable, ...] = ()
        self.play: Callable = run_segments  # `build` replaces it by what begins sooner

    @property
    def theta(self) -> np.ndarray:
        """The shared parameters. They change while the run lasts."""
        return self.shared.theta

    @property
    def steps(self) -> int:
        """T, the steps so far over all workers."""
        return int(self.shared.steps[:, 0].sum())

    @property
    def episodes(self) -> int:
        """The number of training episodes that have ended."""
        return self.episode_log.count

    def progress(self, interrupted: bool = False) -> Progress:
        """Return how far the run is. interrupted: whether Ctrl-C has ended it early."""
        seconds, log = self.clock.seconds, self.episode_log
        returns, lengths = list(log.returns), list(log.lengths)
        return Progress(self.steps, self.config.steps, seconds, self.episodes, returns, interrupted, lengths)

    @property
    def learned(self) -> np.ndarray:
        """What all workers have counted of their learning, see `learner/counters.py`: float64 (COLUMNS,)."""
        return sum((worker.learned for worker in self.workers), np.zeros(COLUMNS))

    @property
    def final_epsilons(self) -> list[float]:
        """The final epsilon of each worker."""
        return [worker.epsilon_final for worker in self.workers]

    @property
    def kernels(self) -> list[Any]:
        """The kernels that the run calls. The kernels of the environment are left out."""
        kinds = [KINDS[name] for name in self.network.kinds]
        layers = [kernel for kind in kinds for kernel in (kind.forward, kind.backward)]
        return [*layers, self.algorithm.kernel, self.update, run_segments, *(job.kernel for job in self.more_jobs)]

    def measure_outputs(self) -> None:
        """Let the workers measure entropy and value from now on, for the reader of `learned`."""
        self.settings = self.settings._replace(measure=address_of_measure(self.algorithm.policy, self.action_map))

    def workers_of(self, thread: int) -> range:
        """Return the numbers of the workers that run on a thread."""
        return range(thread, self.config.workers, len(self.threads))

    def build(self, call: Callable = call_here) -> None:
        """Make environments and workers and compile the loop. Worker i draws all its random numbers from stream i.

        call  (thread, function, *arguments) -> result: calls a function in a thread of the run. An environment is made
              in the thread that plays it, because some may not leave it: a connection to sqlite, a window

        Raises InputError where the environment cannot be made, WorkerError where its reset fails.
        """
        with Compilers(self.network.jobs()) as compilers:
            self._add_workers(call)
            compilers.compile([*loop_jobs(*self._loop), *self.more_jobs, *self.network.jobs()])
        self.play = compile_loop(*self._loop)

    @property
    def _loop(self) -> tuple[Any, ...]:
        return self.shared, self.workers[0], self.settings, self.functions

    def _add_workers(self, call: Callable) -> None:
        state = new_state(self.theta.size)
        for i in range(self.config.workers):
            if i > 0 and not OPTIMIZERS[self.config.optimizer].shared_state:
                state = new_state(self.theta.size)
            call(i % len(self.threads), self._add_worker, i, state)
        if self.settings.normalized:
            begin_moments(self.shared.moments, self.theta, self.workers[0].obs[0])
        for i in range(self.config.workers):
            self.count_reset(i)
        # All environments of a run have the same two functions.
        self.functions = (self.envs[0].reset, self.envs[0].step, self.algorithm.kernel, self.update)

    def _add_worker(self, i: int, optimizer_state: OptimizerState) -> None:
        config = self.config
        env = make_env(config.env, config.terminal_on_life_loss, self.spec.observation, env_kwargs=config.env_kwargs)
        self.envs.append(env)
        self.spec.check_compatible(env.spec)
        env.keep_history()
        worker = self._make_worker(i, env, optimizer_state)
        # One set of scratch arrays for each thread fits into its caches; one set for each worker does not.
        if i >= len(self.threads):
            worker = share_scratch(worker, self.workers[i - len(self.threads)])
        self.workers.append(worker)
        call_for_worker(i, env.reset, worker.env_state, worker.rng, worker.obs[0])

    def _make_worker(self, i: int, env: Environment, optimizer_state: OptimizerState) -> Worker:
        return make_worker(i, self.config, self.algorithm, self.network, env, self.action_map, optimizer_state)

    def count_reset(self, i: int) -> None:
        """Count the observation of a reset of worker i outside the loop, where observations are normalised."""
        if self.settings.normalized:
            moments = self.shared.moments
            count_observation(moments.sums[i], self.workers[i].obs[0], moments.shift)

    def run_segments_of(self, i: int, segments: int) -> bool:
        """Let worker i play and learn from some segments, MAX_SEGMENTS at most. Return whether the run goes on.

        Raises WorkerError where its environment fails or an observation or a reward is NaN or infinite, NotFiniteError
        where only a loss or a gradient is.
        """
        worker = self.workers[i]
        data = (self.shared, worker, self.network.table, self.settings, min(segments, MAX_SEGMENTS))
        try:
            status = call_for_worker(i, self.play, *data, *self.functions)
        finally:
            episodes = worker.log[: worker.logged[0]].tolist()
            self.episode_log.add(i, episodes, self.clock.seconds)
            worker.logged[0] = 0
        # A clipped reward hides infinity from the loss, but not from the return.
        what = "an infinite reward was returned" if not all(math.isfinite(total) for total, *_ in episodes) else None
        if status == NOT_FINITE:
            what = describe_not_finite(worker, int(self.shared.steps[i, 0]))
        if what:
            raise WorkerError(
                f"Worker {i} failed: {what} by {self.config.env}; observations and rewards must be finite."
            )
        if status == NOT_FINITE:
            raise self.not_finite(f"The loss or gradient of worker {i}")
        return status == MORE

    def not_finite(self, what: str) -> NotFiniteError:
        """Return the error that says that `what` is NaN or infinite."""
        return NotFiniteError(
            f"{what} became NaN or infinite after {self.steps:,} steps; try a lower lr or a smaller clip_norm."
        )

    def close(self, call: Callable = call_here) -> None:
        """Close the environments. call: as in `build`."""
        for i, env in enumerate(self.envs):
            call(i % len(self.threads), env.close)


def make_shared(theta: np.ndarray, workers: int, normalized: int) -> Shared:
    """Return the arrays that all workers write to.

    theta: float32 (n_parameters,), which is copied twice. normalized: how many numbers of an observation are
    normalised.
    """
    steps_per_line = CACHE_LINE // np.dtype(np.int64).itemsize
    return Shared(
        theta=aligned_copy(theta),
        theta_target=aligned_copy(theta),
        steps=aligned_zeros((workers, steps_per_line), np.int64),
        target_copies=aligned_zeros((1,), np.int64),
        moments=new_moments(workers, normalized),
    )


def call_for_worker(i: int, function: Callable, *arguments: Any) -> Any:
    """Call a function for worker i and return its result.

    Raises WorkerError where the function raises; its cause is what the function raised.
    """
    try:
        return function(*arguments)
    except InputError as error:
        raise WorkerError(f"Worker {i} failed: {error}") from error
    except (Exception, SystemExit) as error:  # some environments leave the program when their window is closed
        raise WorkerError(f"Worker {i} failed with {type(error).__name__}: {str(error).rstrip('.')}.") from error
