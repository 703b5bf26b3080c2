"""A run: the shared arrays, the workers, their threads, and the supervisor that owns stopping."""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from numasync.algorithms import algorithm_for
from numasync.envs import make_env
from numasync.errors import NotFiniteError, WorkerError
from numasync.learner.loop import (
    MAX_SEGMENTS,
    MORE,
    NOT_FINITE,
    SCRATCH,
    Settings,
    Shared,
    Worker,
    compile_loop,
    run_segments,
)
from numasync.learner.optim import OPTIMIZERS, blocks_of, new_state
from numasync.runtime.affinity import core_per_thread, cores, pinned
from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import LINE, aligned_copy, aligned_zeros
from numasync.runtime.rng import seed_row, uniform

# Section 5.1: a worker's final epsilon is one of these values, with these probabilities.
FINAL_EPSILONS = (0.1, 0.01, 0.5)
FINAL_EPSILON_PROBABILITIES = (0.4, 0.3, 0.3)
EPSILON_STREAM = 4_000_000

# A call of the loop grows until it lasts this long, then Python looks in: for a worker with a thread of its own, and for
# one that shares it, which should not play many episodes in a row.
CALL_SECONDS = 0.02
TURN_SECONDS = 0.002
POLL_SECONDS = 0.1
PARAMETER_CHECK_SECONDS = 1.0
RECENT_EPISODES = 100


class Trainer:
    """One run of `config` on the environment that `spec` describes, with `network`; `train` runs it. Who wants to run
    it piece by piece, without threads, calls `build` and then `play`.

    returns: of the last RECENT_EPISODES training episodes that ended. snapshot: the last copy of theta, finite when
    `on_checkpoint` is called. interrupted: true after a KeyboardInterrupt.
    """

    def __init__(self, config, spec, network):
        self.config = config
        self.algorithm = algorithm_for(config.algo, spec)
        self.update = OPTIMIZERS[config.optimizer].kernel
        self.network = network
        self.observation = spec.observation
        theta = aligned_copy(network.initial(config.seed))
        line = LINE // np.dtype(np.int64).itemsize
        self.shared = Shared(
            theta, aligned_copy(theta), aligned_zeros((config.workers, line), np.int64), aligned_zeros((1,), np.int64)
        )
        self.settings = make_settings(config, self.algorithm, spec.n_actions)
        self.returns = deque(maxlen=RECENT_EPISODES)
        self._unread = deque()
        self._episodes = np.zeros(config.workers, np.int64)
        self.interrupted = False
        self.snapshot = theta.copy()
        self.envs = []
        self.workers = []
        self._functions = ()
        # A core for each thread; worker i is of thread i modulo their number.
        self._cores = core_per_thread(1 if config.deterministic else min(config.workers, cores()))
        self._stop = threading.Event()
        self._failure = None
        self._started = self._ended = None

    @property
    def theta(self):
        """The shared parameters, changing while the run lasts."""
        return self.shared.theta

    @property
    def episodes(self):
        """How many training episodes have ended."""
        return int(self._episodes.sum())

    @property
    def steps(self):
        """T: actions over all workers so far."""
        return int(self.shared.steps[:, 0].sum())

    @property
    def seconds(self):
        """Wall time from the start of the workers to their end, or to now; compilation is not included."""
        if self._started is None:
            return 0.0
        return (self._ended or time.perf_counter()) - self._started

    def train(self, on_progress=lambda trainer: None, on_checkpoint=lambda trainer: None):
        """Run until T_max, a failure or Ctrl-C. The callbacks are called from this thread: on_progress every
        POLL_SECONDS, on_checkpoint at the start, on every crossing of checkpoint_every and at the end, each time with
        finite parameters in `snapshot`.

        Raises WorkerError if a worker failed (after a checkpoint), NotFiniteError if a loss, gradient or parameter is
        not finite (without one). A first KeyboardInterrupt while the workers play ends the run early, a second is
        passed on, as is one that comes before, while the loop is compiled.
        """
        try:
            self.build()
            self._checkpoint(on_checkpoint)
            if not self._failure:
                self._run(on_progress, on_checkpoint)
        finally:
            for env in self.envs:
                env.close()
        if not isinstance(self._failure, NotFiniteError):
            self._checkpoint(on_checkpoint)
        if self._failure:
            raise self._failure

    def build(self):
        """Environments and workers; the loop compiled. Worker i draws everything from stream i of the seed."""
        state = new_state(self.theta.size)
        for i in range(self.config.workers):
            if i > 0 and not OPTIMIZERS[self.config.optimizer].shared_state:
                state = new_state(self.theta.size)
            with pinned(self._cores[i % len(self._cores)]):  # for the threads that an environment starts
                self._add_worker(i, state)
        # Every environment of a run has the same two functions.
        self._functions = (self.envs[0].reset, self.envs[0].step, self.algorithm.kernel, self.update)
        compile_loop(self.network.table, self.shared, self.workers[0], self.settings, self._functions)

    def _add_worker(self, i, optimizer_state):
        env = make_env(self.config.env, self.config.terminal_on_life_loss, self.observation)
        self.envs.append(env)
        worker = make_worker(i, self.config, self.algorithm, self.network, env, optimizer_state)
        if i >= len(self._cores):  # one set for a thread finds its place in the caches, one for each worker would not
            before = self.workers[i - len(self._cores)]
            worker = worker._replace(**{name: getattr(before, name) for name in SCRATCH})
        self.workers.append(worker)
        self._attempt(i, env.reset, worker.env_state, worker.rng, worker.obs[0])

    def _run(self, on_progress, on_checkpoint):
        # The first segment is played here, before there are threads: it compiles whatever is still compiled lazily.
        self.play(0, 1)
        self._started = time.perf_counter()
        with ThreadPoolExecutor(len(self._cores)) as pool:
            try:
                turns = [pool.submit(self._turns, thread) for thread in range(len(self._cores))]
                self._supervise(turns, on_progress, on_checkpoint)
            except (KeyboardInterrupt, BrokenPipeError):  # the reader of our output has gone: nobody watches any more
                self.interrupted = True
            except Exception as error:  # of a thread, or of a callback such as an evaluation beside the run
                self._fail(error)
            finally:
                self._stop.set()
        self._ended = time.perf_counter()

    def _supervise(self, turns, on_progress, on_checkpoint):
        """Watch the threads from outside until all have ended."""
        every = self.config.checkpoint_every
        saved, checked = 0, time.perf_counter()
        while True:
            ended, running = wait(turns, POLL_SECONDS)
            for turn in ended:
                turn.result()  # raises what a thread died of
            if not running:
                return
            on_progress(self)
            if self.steps // every > saved and self.steps < self.config.steps:
                saved = self.steps // every
                self._checkpoint(on_checkpoint)
            if time.perf_counter() - checked > PARAMETER_CHECK_SECONDS:
                checked = time.perf_counter()
                self._take_snapshot()

    def _take_snapshot(self):
        """Copy theta while others go on writing; true if the copy is finite, else the run fails."""
        np.copyto(self.snapshot, self.theta)
        finite = np.isfinite(self.snapshot).all()
        return bool(finite) or self._fail(NotFiniteError(self._not_finite("A parameter")))

    def _checkpoint(self, on_checkpoint):
        if self._take_snapshot():
            on_checkpoint(self)

    def _turns(self, thread):
        """The body of a thread: give each of its workers its turn until the run ends.

        Workers that share a thread change between segments. Were each a thread, the system would stop most of them in
        the middle of one, for as long as all others take: a gradient would be as old as there are workers, where it
        is now as old as there are cores. On two cores with sixteen threads, one-step Sarsa's Q values ran away.

        In deterministic mode a turn is one segment, so that the run repeats.
        """
        group = range(thread, self.config.workers, len(self._cores))
        segments, longest = 1, CALL_SECONDS if len(group) == 1 else TURN_SECONDS
        with pinned(self._cores[thread]):
            while True:
                started = time.perf_counter()
                for i in group:
                    if self._stop.is_set() or not self.play(i, segments):
                        return
                if not self.config.deterministic and time.perf_counter() - started < longest * len(group):
                    segments = min(2 * segments, MAX_SEGMENTS)

    def play(self, i, segments):
        """One call of the loop for worker i, of so many segments or MAX_SEGMENTS; true if there is more to play."""
        worker = self.workers[i]
        data = (min(segments, MAX_SEGMENTS), self.network.table, self.shared, worker, self.settings)
        status = self._attempt(i, run_segments, *data, *self._functions)
        self._keep_episodes(i, worker)
        if status == NOT_FINITE:
            self._fail(NotFiniteError(self._not_finite(f"The loss or gradient of worker {i}")))
        return status == MORE

    def _keep_episodes(self, i, worker):
        ended = worker.log[: worker.logged[0]].tolist()
        self.returns.extend(score for score, _, _ in ended)
        seconds = self.seconds
        self._unread.extend((score, length, seconds, T) for score, length, T in ended)
        self._episodes[i] += len(ended)
        worker.logged[0] = 0

    def take_episodes(self):
        """The (return, length, seconds, T) of each training episode that has ended since the last call."""
        return [self._unread.popleft() for _ in range(len(self._unread))]

    def _attempt(self, i, function, *arguments):
        """Call a function on behalf of worker i; what it raises ends the run as a WorkerError."""
        try:
            return function(*arguments)
        except (Exception, SystemExit) as error:  # some environments leave the program where their window is closed
            failure = WorkerError(f"Worker {i} failed with {type(error).__name__}: {str(error).rstrip('.')}.")
            failure.__cause__ = error
            return self._fail(failure)

    def _fail(self, failure):
        """Keep the first failure and end the run; false, so that a caller can pass it on."""
        self._failure = self._failure or failure
        self._stop.set()
        return False

    def _not_finite(self, what):
        return f"{what} became NaN or infinite after {self.steps:,} actions; try a lower lr or a smaller clip_norm."


def make_settings(config, algorithm, n_actions):
    """What kernels read of a config; real numbers as FLOAT, so that arithmetic with them keeps the arrays' dtype."""
    return Settings(
        max_steps=config.steps,
        t_max=config.t_max,
        gamma=FLOAT(config.gamma),
        beta=FLOAT(config.beta),
        lr=FLOAT(config.lr),
        rms_decay=FLOAT(config.rms_decay),
        rms_eps=FLOAT(config.rms_eps),
        clip_norm=FLOAT(config.clip_norm),
        reward_clip=float(config.reward_clip),
        epsilon_steps=config.epsilon_steps,
        target_interval=config.target_interval,
        n_actions=n_actions,
        policy=algorithm.policy,
        local_copy=algorithm.local_copy,
        target_network=algorithm.target_network,
        one_step=algorithm.one_step,
        next_action=algorithm.next_action,
        lazy=OPTIMIZERS[config.optimizer].lazy,
    )


def final_epsilon(i, workers, seed):
    """The final epsilon of worker i.

    It is each of the values with the paper's probability. But the workers of a run do not draw one by one: they stand
    evenly round the circle of probabilities, from a point u that the seed draws, and a value of probability p is that of
    p * workers of them, give or take one: how much a run explores is then not a matter of its seed. Of 16 workers that
    drew one by one 9 had 0.5 on one seed, 3 on another.
    """
    u = uniform(seed_row(seed, EPSILON_STREAM))
    below = np.searchsorted(np.cumsum(FINAL_EPSILON_PROBABILITIES), (u + i / workers) % 1.0, side="right")
    return FINAL_EPSILONS[min(int(below), len(FINAL_EPSILONS) - 1)]


def make_worker(i, config, algorithm, network, env, optimizer_state):
    """Worker i with its arrays."""
    capacity = config.t_max + 1

    def zeros(*shape, dtype=FLOAT):
        return aligned_zeros(shape, dtype)

    return Worker(
        index=i,
        epsilon_final=final_epsilon(i, config.workers, config.seed),
        theta_local=zeros(network.n_parameters if algorithm.local_copy else 0),
        grad=zeros(network.n_parameters),
        squares=zeros(blocks_of(network.n_parameters)),
        skipped=zeros(blocks_of(network.n_parameters), dtype=np.int64),
        optimizer_state=optimizer_state,
        obs=zeros(capacity, network.n_inputs),
        tape=network.tape(capacity),
        dtape=network.tape(capacity),
        bootstrap_tape=network.tape(capacity),
        work=zeros(network.n_work),
        actions=env.spec.new_actions(capacity),
        rewards=zeros(capacity),
        rng=aligned_copy(seed_row(config.seed, i)),
        env_state=env.new_state(),
        next_action=aligned_copy(np.array([-1])),
        episode=zeros(2, dtype=np.float64),
        log=zeros(MAX_SEGMENTS, 3, dtype=np.float64),
        logged=zeros(1, dtype=np.int64),
    )
