"""The actor-learner: the loop that the paper's three pseudo-codes have in common.

Written once, compiled once, for every algorithm and environment. It runs without the GIL; an environment in Python
takes it for the length of its own step. A call plays a bounded number of segments and returns, so that Python can stop
it: nothing polls a flag inside compiled code.
"""

from typing import NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHM_TYPE, CONTINUOUS_ALGORITHM_TYPE
from numasync.algorithms.policy import choose_into
from numasync.envs.spec import (
    CONTINUOUS_STEP_TYPE,
    LIFE_LOST,
    RESET_TYPE,
    RUNNING,
    STEP_TYPE,
    TERMINATED,
    TRUNCATED,
)
from numasync.learner.optim import BLOCK, UPDATE_TYPE, OptimizerState, catch_up, clip_scale, mark_updated, sum_squares
from numasync.nn.network import backward, copy_state, forward, outputs_of, reset_state
from numasync.nn.products.views import vector_at
from numasync.runtime.jit import FLOAT, cache_dispatch, compile_for, inline_kernel, int64, kernel, type_of

# What run_segments returns; none is 0, which would equal the False of a call that failed.
MORE, FINISHED, NOT_FINITE = 1, 2, 3

# Segments a call may play: each can end one episode, and the log of episodes must hold them until Python reads it.
MAX_SEGMENTS = 4096


class Shared(NamedTuple):
    """Written by every worker, without a lock (theta, theta_target, target_copies), or each in its own row (steps).

    theta, theta_target: float32 (n_parameters,). steps: int64 (workers, 16), actions of each worker in column 0, each
    row in cache lines of its own; T is the sum of the column. target_copies: int64 (1,), how many multiples of
    target_interval T has crossed.
    """

    theta: np.ndarray
    theta_target: np.ndarray
    steps: np.ndarray
    target_copies: np.ndarray


class Worker(NamedTuple):
    """What belongs to one worker; capacity = t_max + 1 rows.

    theta_local: theta', of size 0 where the algorithm acts on theta. grad: (n_parameters,). squares: (blocks,), the sum
    of grad^2 over each block of parameters; rested: int64 (blocks,), see `count_update`. optimizer_state: the same in
    all workers for shared RMSProp. obs: (capacity, inputs). tape, dtape, bootstrap_tape, work: see `network.py`.
    actions: int64 (capacity,), or float32 (capacity, n_actions) where they are continuous. rewards: (capacity,). rng:
    uint64 (4,). env_state: see `interface.py`. next_action: (1,), chosen by the last segment, or -1. episode: return and
    length so far. log: (MAX_SEGMENTS, 3), return, length and T of the episodes that ended; logged: (1,), how many.

    What SCRATCH names says nothing between two calls (grad is zeros), and one array serves all workers of a thread.
    """

    index: int
    epsilon_final: float
    theta_local: np.ndarray
    grad: np.ndarray
    squares: np.ndarray
    skipped: np.ndarray
    optimizer_state: OptimizerState
    obs: np.ndarray
    tape: np.ndarray
    dtape: np.ndarray
    bootstrap_tape: np.ndarray
    work: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    rng: np.ndarray
    env_state: np.ndarray
    next_action: np.ndarray
    episode: np.ndarray
    log: np.ndarray
    logged: np.ndarray


SCRATCH = ("theta_local", "grad", "squares", "skipped", "dtape", "bootstrap_tape", "work")


class Settings(NamedTuple):
    """The numbers and switches of a run that kernels read. Schedules count T: actions over all workers."""

    max_steps: int
    t_max: int
    gamma: float
    beta: float
    lr: float
    rms_decay: float
    rms_eps: float
    clip_norm: float
    reward_clip: float
    epsilon_steps: int
    target_interval: int
    n_actions: int
    policy: int
    local_copy: bool
    target_network: bool
    one_step: bool
    next_action: bool
    lazy: bool


@kernel
def run_segments(segments, table, shared, worker, settings, reset, step, algorithm, update):
    """Play and learn from up to `segments` segments; return MORE, FINISHED (T >= max_steps) or NOT_FINITE.

    A segment: act for up to t_max actions or to a terminal; one gradient; one update of theta; theta' <- theta.
    """
    theta = acting_parameters(shared, worker, settings)
    capacity = worker.obs.shape[0]
    if settings.local_copy:
        copy_values(shared.theta, worker.theta_local)
    for segment in range(segments):
        T = total_steps(shared)
        if T >= settings.max_steps:
            return FINISHED
        epsilon = annealed_epsilon(T, worker, settings)
        limit = segment_length(shared, worker, settings)
        # NumPy's integer: for a Python 0, the compiler would make a choose_action of its own.
        n, end = np.int64(0), RUNNING
        while n < limit and end == RUNNING:
            choose_action(table, theta, worker, settings, epsilon, n)
            reward, end = step(worker.env_state, worker.actions[n], worker.rng, worker.obs[n + 1])
            record_reward(worker, settings, n, reward)
            n += 1
        terminated = end == TERMINATED or end == LIFE_LOST
        if settings.next_action and not terminated:
            choose_action(table, theta, worker, settings, epsilon, n)
            if end == RUNNING:
                plan_action(worker.actions, n, worker.next_action)
        # The next call, which may come after other workers' turns, begins with a copy of its own.
        copy = settings.local_copy and segment + 1 < segments
        if not learn(table, theta, shared, worker, settings, n, terminated, T, algorithm, update, copy):
            return NOT_FINITE
        count_steps(shared, worker, settings, n)
        if end == TERMINATED or end == TRUNCATED:
            log_episode(worker, T + n)
            reset(worker.env_state, worker.rng, worker.obs[0])
            reset_state(table, worker.tape, 0, capacity)
        else:
            copy_values(worker.obs[n], worker.obs[0])
            copy_state(table, worker.tape, n, worker.tape, 0, capacity)
    return MORE


@kernel
def total_steps(shared):
    """T: actions over all workers."""
    T = 0
    for i in range(shared.steps.shape[0]):
        T += shared.steps[i, 0]
    return T


@inline_kernel
def acting_parameters(shared, worker, settings):
    """theta', or theta itself."""
    return worker.theta_local if settings.local_copy else shared.theta


@kernel
def copy_values(source, target):
    """target[:] = source, as a loop: Numba's assignment provides for arrays that overlap, with memory of its own."""
    for i in range(target.size):
        target[i] = source[i]


@kernel
def annealed_epsilon(T, worker, settings):
    """Linear from 1 at T = 0 to the worker's own final epsilon at T = epsilon_steps."""
    done = min(T / settings.epsilon_steps, 1.0)
    return 1.0 + done * (worker.epsilon_final - 1.0)


@kernel
def segment_length(shared, worker, settings):
    """Actions until the next update: t_max; one-step methods: until the worker's own t mod I_AsyncUpdate = 0."""
    if settings.one_step:
        return settings.t_max - shared.steps[worker.index, 0] % settings.t_max
    return settings.t_max


@kernel
def choose_action(table, theta, worker, settings, epsilon, n):
    """Fill row n of the tape from obs[n] and choose actions[n], unless the segment before has chosen it already."""
    forward(table, theta, worker.obs, worker.tape, n, n + 1)
    if n == 0 and worker.next_action[0] >= 0:
        worker.actions[0] = worker.next_action[0]
        worker.next_action[0] = -1
        return
    outputs = outputs_of(table, worker.tape, worker.obs.shape[0])
    choose_into(worker.actions, n, settings.policy, outputs[n], settings.n_actions, epsilon, worker.rng)


@kernel
def plan_action(actions, n, next_action):
    """The next segment begins with action n. Only actions that are counted are planned: only Sarsa's are."""
    if actions.ndim == 1:
        next_action[0] = actions[n]


@kernel
def record_reward(worker, settings, n, reward):
    """Keep the clipped reward for the learner, the reward as it is for the episode's return."""
    worker.episode[0] += reward
    worker.episode[1] += 1.0
    if settings.reward_clip > 0.0:
        reward = min(max(reward, -settings.reward_clip), settings.reward_clip)
    worker.rewards[n] = reward


@kernel
def learn(table, theta, shared, worker, settings, n, terminated, T, algorithm, update, copy):
    """Bootstrap, gradient, update of theta; theta' <- theta if `copy`. False, and theta untouched, where loss or gradient
    is not finite."""
    capacity = worker.obs.shape[0]
    first = 1 if settings.one_step else n
    last = n if terminated else n + 1
    if first < last:
        copy_state(table, worker.tape, first, worker.bootstrap_tape, first, capacity)
        bootstrap_theta = shared.theta_target if settings.target_network else theta
        forward(table, bootstrap_theta, worker.obs, worker.bootstrap_tape, first, last)
    loss = algorithm(
        outputs_of(table, worker.tape, capacity),
        outputs_of(table, worker.bootstrap_tape, capacity),
        worker.actions,
        worker.rewards,
        n,
        terminated,
        settings.gamma,
        settings.beta,
        outputs_of(table, worker.dtape, capacity),
    )
    backward(table, theta, worker.obs, worker.tape, worker.dtape, worker.grad, worker.work, n)
    sum_squares(worker.grad, worker.squares)
    scale = clip_scale(worker.squares, settings.clip_norm)
    if not (np.isfinite(loss) and np.isfinite(scale)):
        return False
    lr = settings.lr * FLOAT(max(1.0 - T / settings.max_steps, 0.0))
    apply_gradient(shared, worker, settings, lr, scale, update, copy)
    return True


@kernel
def apply_gradient(shared, worker, settings, lr, scale, update, copy):
    """One step of theta, and, if `copy`, theta' <- theta for the segment to come.

    A block at a time, so that the copy finds in the processor's cache what the update has just brought there: out of a
    slower memory, or from another core that has changed it. Where the optimiser allows it, a block without a gradient
    rests; squares that sum to 0 are those of zeros, or of numbers below 1e-22, which wait for the next gradient.
    """
    if settings.lazy:
        mark_updated(worker.optimizer_state, worker.squares, worker.skipped)
    for block in range(worker.squares.size):
        at = block * BLOCK
        size = min(BLOCK, shared.theta.size - at)
        theta = vector_at(shared.theta, at, size)
        if worker.squares[block] > 0 or not settings.lazy:
            grad, state = vector_at(worker.grad, at, size), vector_at(worker.optimizer_state.values, at, size)
            if worker.skipped[block] > 0:
                catch_up(worker.skipped[block], state, settings.rms_decay)
            update(theta, grad, state, lr, settings.rms_decay, settings.rms_eps, scale)
        if copy:
            copy_values(theta, vector_at(worker.theta_local, at, size))


@kernel
def count_steps(shared, worker, settings, n):
    """t <- t + n, and theta- <- theta where T has crossed a multiple of target_interval.

    A multiple, once crossed, stays crossed: where two workers write at the same moment, one crossing may be copied
    twice, or a segment late, but it is not skipped as a test of T mod target_interval = 0 would.
    """
    shared.steps[worker.index, 0] += n
    if settings.target_network:
        crossed = total_steps(shared) // settings.target_interval
        if crossed > shared.target_copies[0]:
            shared.target_copies[0] = crossed
            copy_values(shared.theta, shared.theta_target)


@kernel
def log_episode(worker, T):
    """Move the finished episode's return and length, with T, to the log; start counting the next."""
    at = worker.logged[0]
    worker.log[at, 0] = worker.episode[0]
    worker.log[at, 1] = worker.episode[1]
    worker.log[at, 2] = T
    worker.logged[0] = at + 1
    worker.episode[:] = 0.0


def compile_loop(table, shared, worker, settings, functions):
    """Compile the loop, and the (reset, step, algorithm, update) that it is given, before threads start: compilation
    holds a lock of its own."""
    data = (type_of(table), type_of(shared), type_of(worker), type_of(settings))
    counted = worker.actions.ndim == 1
    step = STEP_TYPE if counted else CONTINUOUS_STEP_TYPE
    algorithm = ALGORITHM_TYPE if counted else CONTINUOUS_ALGORITHM_TYPE
    kinds = (RESET_TYPE, step, algorithm, UPDATE_TYPE)
    compile_for(run_segments, int64, *data, *kinds)
    for function, kind in zip(functions, kinds):
        cache_dispatch(function, kind)
