"""The actor-learner: the loop that Algorithms 1, S2 and S3 of Mnih et al. 2016 have in common.

    repeat
    1    dtheta <- 0
    2    theta' <- theta                                    (n-step methods; the others act on theta itself)
    3    repeat: act in s_t; receive r_t and s_{t+1}; t <- t + 1, T <- T + 1
    4    until s_t is terminal or t - t_start = t_max
    5    R <- 0 if s_t is terminal, else the value of s_t   (the bootstrap)
    6    dtheta += the gradient of the algorithm's loss over the segment
    7    update theta with dtheta, without a lock
    8    theta- <- theta if T has crossed a multiple of I_target
    9  until T > T_max

The comments below name these lines. The loop is written once and compiled once, for every algorithm and environment,
and runs without the GIL. An environment in Python takes the GIL for the length of its own step. A call plays a bounded
number of segments and returns, so that Python can stop it: compiled code polls no flag.
"""

from typing import Any, NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHM_TYPE, CONTINUOUS_ALGORITHM_TYPE, MULTI_DISCRETE_ALGORITHM_TYPE
from numasync.algorithms.policy import choose_into, hold_means
from numasync.envs.spec import (
    CONTINUOUS_STEP_TYPE,
    LIFE_LOST,
    MULTI_DISCRETE_STEP_TYPE,
    RESET_TYPE,
    RUNNING,
    STEP_TYPE,
    TERMINATED,
    episode_over,
    map_action,
)
from numasync.learner.counters import MEASURE_EVERY, UPDATES, count_update, measure_outputs
from numasync.learner.moments import Moments, update_statistics
from numasync.learner.optim import (
    BLOCK,
    UPDATE_TYPE,
    OptimizerState,
    catch_up,
    clip_scale,
    gradient_norm,
    mark_all_updated,
    mark_updated,
    sum_squares,
)
from numasync.nn.passes import backward, copy_state, forward, outputs_of, reset_state
from numasync.nn.products.views import vector_at
from numasync.runtime.compilers import Job
from numasync.runtime.jit import FLOAT, cache_dispatch, inline_kernel, int64, int64_2d, kernel, kernel_or, type_of

# What run_segments returns. 0 is left out, because it equals the False of a call that failed.
MORE, FINISHED, NOT_FINITE = 1, 2, 3

# Segments of a call at most. Each can end one episode, and the log of episodes must hold them until Python reads it.
MAX_SEGMENTS = 4096


class Shared(NamedTuple):
    """What every worker writes, without a lock: its own rows of steps and moments, and all of the others."""

    theta: np.ndarray  # float32 (n_parameters,)
    theta_target: np.ndarray  # theta-, float32 (n_parameters,)
    steps: np.ndarray  # int64 (workers, 16): t of each worker in column 0, in cache lines of its own. T is their sum
    target_copies: np.ndarray  # int64 (1,): how many multiples of target_interval T has crossed
    moments: Moments  # what was counted of the observations, where they are normalised, see moments.py


class Scratch(NamedTuple):
    """Arrays that say nothing between two calls (grad is zeros). All workers of a thread share them."""

    theta_local: np.ndarray  # theta', (n_parameters,); empty where the algorithm acts on theta
    grad: np.ndarray  # dtheta, (n_parameters,)
    squares: np.ndarray  # (blocks,): the sum of grad^2 over each block of parameters
    skipped: np.ndarray  # int64 (blocks,): updates that each block has skipped, see optim.py
    dtape: np.ndarray  # the gradient of the tape
    bootstrap_tape: np.ndarray  # the tape of the forward pass that bootstraps
    work: np.ndarray  # (n_work,): room for the backward pass


class Worker(NamedTuple):
    """What belongs to one worker. A tape has capacity = t_max + 1 rows."""

    number: int  # its row of Shared.steps
    epsilon_final: float  # where its epsilon ends
    optimizer_state: OptimizerState  # one for all workers with shared RMSProp
    obs: np.ndarray  # float32 (capacity, inputs)
    tape: np.ndarray  # activations and hidden states, see nn/table.py
    actions: np.ndarray  # as the policy draws them, see EnvSpec.new_actions: (capacity,) or (capacity, n_actions)
    env_action: np.ndarray  # (n_actions,): the action that the environment gets, where it is an array
    action_map: np.ndarray  # from the policy's to the environment's, see EnvSpec
    rewards: np.ndarray  # float32 (capacity,), clipped
    rng: np.ndarray  # uint64 (4,): all randomness of the worker and of its environment
    env_state: np.ndarray  # float64, see envs/spec.py
    next_action: np.ndarray  # int64 (1,): the action that the last segment has planned, or -1
    episode: np.ndarray  # float64 (2,): return and length of the episode so far
    log: np.ndarray  # float64 (MAX_SEGMENTS, 3): return, length and T of the episodes that have ended
    logged: np.ndarray  # int64 (1,): how many of these rows hold an episode
    learned: np.ndarray  # float64 (16,): what it counts of its learning, see counters.py
    scratch: Scratch


class Settings(NamedTuple):
    """The numbers and switches of a run that kernels read. Schedules count T: steps over all workers."""

    max_steps: int
    t_max: int
    gamma: float
    beta: float
    lr: float  # the learning rate at T = 0; it falls in a straight line
    lr_steps: int  # T where it is 0
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
    normalized: bool  # whether theta begins with the statistics of observations
    measure: int  # the address for `measure_outputs`; 0 where nobody reads what it measures


@kernel
def run_segments(shared, worker, table, settings, segments, reset, step, algorithm, update):
    """Play and learn from up to `segments` segments. Return MORE, FINISHED (T >= max_steps) or NOT_FINITE.

    shared, worker: the arrays of the run and of the worker.
    table: of the network, see `nn/table.py`.
    settings: of the run.
    reset, step: of the environment, see `envs/spec.py`.
    algorithm, update: kernels of the algorithm and of the optimiser.
    """
    theta = acting_parameters(shared, worker, settings)
    capacity = worker.obs.shape[0]
    if settings.local_copy:
        copy_values(worker.scratch.theta_local, shared.theta)  # 2
    for segment in range(segments):
        T = total_steps(shared)
        if T >= settings.max_steps:  # 9
            return FINISHED
        epsilon = annealed_epsilon(T, worker, settings)
        limit = segment_length(shared, worker, settings)
        # NumPy's integer: for a Python 0, the compiler would make a choose_action of its own.
        n, end = np.int64(0), RUNNING
        while n < limit and end == RUNNING:  # 3, 4
            choose_action(worker, theta, table, settings, epsilon, n)
            reward, end = play_action(worker.env_action, worker.actions, worker, step, n)
            record_reward(worker, settings, n, reward)
            n += 1
        terminated = end == TERMINATED or end == LIFE_LOST
        if settings.next_action and not terminated:
            choose_action(worker, theta, table, settings, epsilon, n)
            if end == RUNNING:
                plan_action(worker.next_action, worker.actions, n)
        # `apply_gradient` does lines 1 and 2 of the next segment, dtheta <- 0 and theta' <- theta, while theta is in a
        # cache. A call begins with a copy of its own: other workers play between two calls.
        copy = settings.local_copy and segment + 1 < segments
        # 5, 6, 7
        if not learn(shared, worker, theta, table, settings, n, terminated, T, algorithm, update, copy):
            return NOT_FINITE
        count_steps(shared, worker, settings, n)  # 8
        if episode_over(end):
            log_episode(worker, T + n)
            reset(worker.env_state, worker.rng, worker.obs[0])
            reset_state(worker.tape, table, 0, capacity)
        else:
            copy_values(worker.obs[0], worker.obs[n])
            copy_state(worker.tape, worker.tape, table, 0, n, capacity)
        if settings.normalized:
            update_statistics(theta, shared, worker, 0 if episode_over(end) else 1, n + 1)
    return MORE


@kernel
def total_steps(shared):
    """T: steps over all workers."""
    T = 0
    for i in range(shared.steps.shape[0]):
        T += shared.steps[i, 0]
    return T


@inline_kernel
def acting_parameters(shared, worker, settings):
    """theta', or theta itself."""
    return worker.scratch.theta_local if settings.local_copy else shared.theta


def copy_in_numpy(target, source):
    """`copy_values` in NumPy."""
    target[:] = source


@kernel_or(copy_in_numpy)
def copy_values(target, source):
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
    """Steps until the next update: t_max; for one-step methods until the worker's own t mod I_AsyncUpdate = 0."""
    if settings.one_step:
        return settings.t_max - shared.steps[worker.number, 0] % settings.t_max
    return settings.t_max


@kernel
def choose_action(worker, theta, table, settings, epsilon, n):
    """Fill row n of the tape from obs[n] and choose actions[n], unless the segment before has planned it."""
    forward(worker.tape, worker.obs, theta, table, n, n + 1)
    if n == 0 and worker.next_action[0] >= 0:
        worker.actions[0] = worker.next_action[0]
        worker.next_action[0] = -1
        return
    outputs = outputs_of(worker.tape, table, worker.obs.shape[0])
    action_map, n_actions = worker.action_map, settings.n_actions
    choose_into(worker.actions, outputs[n], n, action_map, settings.policy, n_actions, epsilon, worker.rng)


@kernel
def play_action(env_action, actions, worker, step, n):
    """Play actions[n], write the next observation into obs[n + 1], and return reward and end.

    The environment gets a continuous action in its own units. The learner keeps it as the policy drew it. Of several
    integers the environment gets a copy.
    """
    if actions.ndim == 1:
        return step(worker.env_state, actions[n], worker.rng, worker.obs[n + 1])
    map_action(env_action, actions[n], worker.action_map)
    return step(worker.env_state, env_action, worker.rng, worker.obs[n + 1])


@kernel
def plan_action(next_action, actions, n):
    """Let the next segment begin with action n. Only Sarsa plans, and its actions are one integer."""
    if actions.ndim == 1:
        next_action[0] = actions[n]


@kernel
def record_reward(worker, settings, n, reward):
    """Keep the clipped reward for the learner, and the reward as it is for the episode's return."""
    worker.episode[0] += reward
    worker.episode[1] += 1.0
    if settings.reward_clip > 0.0:
        reward = min(max(reward, -settings.reward_clip), settings.reward_clip)
    worker.rewards[n] = reward


@kernel
def learn(shared, worker, theta, table, settings, n, terminated, T, algorithm, update, copy):
    """Bootstrap, gradient, update of theta; theta' <- theta if `copy`.

    Return False, and leave theta as it is, where the loss or the gradient is not finite.
    """
    capacity = worker.obs.shape[0]
    scratch = worker.scratch
    first = 1 if settings.one_step else n
    last = n if terminated else n + 1
    if first < last:
        copy_state(scratch.bootstrap_tape, worker.tape, table, first, first, capacity)
        bootstrap_theta = shared.theta_target if settings.target_network else theta
        forward(scratch.bootstrap_tape, worker.obs, bootstrap_theta, table, first, last)
    loss = algorithm(
        outputs_of(scratch.dtape, table, capacity),
        outputs_of(worker.tape, table, capacity),
        outputs_of(scratch.bootstrap_tape, table, capacity),
        worker.actions,
        worker.rewards,
        worker.action_map,
        n,
        terminated,
        settings.gamma,
        settings.beta,
    )
    hold_means(
        outputs_of(scratch.dtape, table, capacity),
        outputs_of(worker.tape, table, capacity),
        worker.actions,
        worker.action_map,
        n,
    )
    backward(scratch.dtape, scratch.grad, worker.tape, worker.obs, theta, scratch.work, table, n)
    sum_squares(scratch.squares, scratch.grad)
    grad_norm = gradient_norm(scratch.squares)
    if not (np.isfinite(loss) and np.isfinite(grad_norm)):
        return False
    count_update(worker.learned, loss, grad_norm, n)
    if settings.measure != 0 and np.int64(worker.learned[UPDATES]) % MEASURE_EVERY == 0:
        outputs = outputs_of(worker.tape, table, capacity)
        measure_outputs(worker.learned, outputs, worker.action_map, settings.measure, n)
    scale = clip_scale(grad_norm, settings.clip_norm)
    lr = settings.lr * FLOAT(max(1.0 - T / settings.lr_steps, 0.0))
    apply_gradient(shared, worker, settings, lr, scale, update, copy)
    return True


def apply_gradient_in_numpy(shared, worker, settings, lr, scale, update, copy):
    """`apply_gradient` in NumPy: all blocks at once. A call for each block would take longer than skipping saves."""
    if settings.lazy:
        mark_all_updated(worker.optimizer_state, settings.rms_decay)
    values, grad = worker.optimizer_state.values, worker.scratch.grad
    update(shared.theta, grad, values, lr, settings.rms_decay, settings.rms_eps, scale)
    if copy:
        copy_values(worker.scratch.theta_local, shared.theta)


@kernel_or(apply_gradient_in_numpy)
def apply_gradient(shared, worker, settings, lr, scale, update, copy):
    """Make one update of theta, and, if `copy`, theta' <- theta for the segment to come.

    A block at a time, so that the copy finds in the processor's cache what the update has just brought there: out of a
    slower memory, or from another core that has changed it. Where the optimiser is lazy, a block without a gradient
    is skipped. Squares that sum to 0 belong to zeros, or to numbers below 1e-22, which wait for the next gradient.
    """
    scratch, state = worker.scratch, worker.optimizer_state
    if settings.lazy:
        mark_updated(scratch.skipped, state, scratch.squares)
    for block in range(scratch.squares.size):
        at = block * BLOCK
        size = min(BLOCK, shared.theta.size - at)
        theta = vector_at(shared.theta, at, size)
        if scratch.squares[block] > 0 or not settings.lazy:
            grad, values = vector_at(scratch.grad, at, size), vector_at(state.values, at, size)
            if scratch.skipped[block] > 0:
                catch_up(values, scratch.skipped[block], settings.rms_decay)
            update(theta, grad, values, lr, settings.rms_decay, settings.rms_eps, scale)
        if copy:
            copy_values(vector_at(scratch.theta_local, at, size), theta)


@kernel
def count_steps(shared, worker, settings, n):
    """t <- t + n, and theta- <- theta where T has crossed a multiple of target_interval.

    A multiple, once crossed, stays crossed. Where two workers write at the same moment, one crossing may be copied
    twice, or a segment late. It is never skipped, as a test of T mod target_interval = 0 could skip it.
    """
    shared.steps[worker.number, 0] += n
    if settings.target_network:
        crossed = total_steps(shared) // settings.target_interval
        if crossed > shared.target_copies[0]:
            shared.target_copies[0] = crossed
            copy_values(shared.theta_target, shared.theta)


@kernel
def log_episode(worker, T):
    """Move the finished episode's return and length, with T, to the log, and start counting the next."""
    at = worker.logged[0]
    worker.log[at, 0] = worker.episode[0]
    worker.log[at, 1] = worker.episode[1]
    worker.log[at, 2] = T
    worker.logged[0] = at + 1
    worker.episode[:] = 0.0


def loop_jobs(shared: Shared, worker: Worker, settings: Settings, functions: tuple[Any, ...]) -> list[Job]:
    """Return what the loop, and the (reset, step, algorithm, update) that it gets, must be compiled for."""
    data = (type_of(shared), type_of(worker), int64_2d, type_of(settings))
    kinds = kinds_of(worker)
    passed = [Job(function, kind.signature) for function, kind in zip(functions, kinds, strict=True)]
    return [Job(run_segments, (*data, int64, *kinds)), *passed]


def kinds_of(worker: Worker) -> tuple[Any, ...]:
    """Return the function types of (reset, step, algorithm, update)."""
    if worker.actions.ndim == 1:
        return RESET_TYPE, STEP_TYPE, ALGORITHM_TYPE, UPDATE_TYPE
    if worker.action_map.ndim == 1:
        return RESET_TYPE, MULTI_DISCRETE_STEP_TYPE, MULTI_DISCRETE_ALGORITHM_TYPE, UPDATE_TYPE
    return RESET_TYPE, CONTINUOUS_STEP_TYPE, CONTINUOUS_ALGORITHM_TYPE, UPDATE_TYPE


def compile_loop(shared: Shared, worker: Worker, settings: Settings, functions: tuple[Any, ...]) -> Any:
    """Compile the loop and what it gets, before threads start. Return what plays as `run_segments`, for these types."""
    jobs = loop_jobs(shared, worker, settings, functions)
    for job in jobs:
        job.compile()
    for function, kind in zip(functions, kinds_of(worker), strict=True):
        cache_dispatch(function, kind)
    return jobs[0].entry_point
