"""What a run makes for its workers: the arrays of each, the numbers that kernels read, and each final epsilon."""

import dataclasses
from typing import Any

import numpy as np

from numasync.algorithms import Algorithm
from numasync.config import Config
from numasync.envs.spec import Environment
from numasync.learner.counters import COLUMNS
from numasync.learner.loop import MAX_SEGMENTS, Scratch, Settings, Worker
from numasync.learner.optim import OPTIMIZERS, OptimizerState, blocks_of
from numasync.nn.network import Network
from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import aligned_copy, aligned_zeros
from numasync.runtime.rng import seed_row, uniform_in_python
from numasync.training.schedule import Schedule

# Section 5.1: a worker's final epsilon is one of these values, with these probabilities.
FINAL_EPSILONS = (0.1, 0.01, 0.5)
FINAL_EPSILON_PROBABILITIES = (0.4, 0.3, 0.3)
EPSILON_STREAM = 4_000_000


def make_settings(
    config: Config, algorithm: Algorithm, n_actions: int, schedule: Schedule | None = None, normalized: bool = False
) -> Settings:
    """Return the numbers and switches that kernels read: options of the run, and columns of its algorithm's row.

    config      the options of the run
    algorithm   a row of the table of algorithms
    n_actions   of the environment
    schedule    of the learning rate; by default it falls to 0 over the run
    normalized  whether theta begins with the statistics of observations

    Real numbers become FLOAT, so that arithmetic with them keeps the dtype of the arrays.
    """
    options = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    reals = {field.name: FLOAT(options[field.name]) for field in dataclasses.fields(config) if field.type is float}
    schedule = schedule or Schedule(config.lr, config.steps)
    known: dict[str, Any] = {
        **options,
        **reals,
        **algorithm._asdict(),
        "max_steps": config.steps,
        "lr": FLOAT(schedule.lr),
        "lr_steps": schedule.steps,
        "n_actions": n_actions,
        "reward_clip": float(config.reward_clip),  # a reward is float64 until it is clipped
        "lazy": OPTIMIZERS[config.optimizer].lazy,
        "normalized": normalized,
        "measure": 0,
    }
    return Settings(**{name: known[name] for name in Settings._fields})


def final_epsilon(i: int, workers: int, seed: int) -> float:
    """Return the final epsilon of worker i.

    Systematic (stratified) sampling: worker i takes the quantile (u + i / workers) mod 1 of the paper's distribution,
    with one u that the seed draws. A value of probability p then belongs to p * workers workers, give or take one, on
    every seed. With independent draws 9 of 16 workers had 0.5 on one seed and 3 on another.
    """
    u = uniform_in_python(seed_row(seed, EPSILON_STREAM))
    below = np.searchsorted(np.cumsum(FINAL_EPSILON_PROBABILITIES), (u + i / workers) % 1.0, side="right")
    return FINAL_EPSILONS[min(int(below), len(FINAL_EPSILONS) - 1)]


def make_worker(
    i: int,
    config: Config,
    algorithm: Algorithm,
    network: Network,
    env: Environment,
    action_map: np.ndarray,
    optimizer_state: OptimizerState,
) -> Worker:
    """Return worker i with new arrays.

    i                the number of the worker; it is also the number of its random stream
    config           the options of the run
    algorithm        a row of the table of algorithms
    network          the network of the run
    env              the worker's environment
    action_map       from the policy's actions to the environment's, see EnvSpec
    optimizer_state  the optimiser's state: the worker's own, or one that all workers share
    """
    capacity = config.t_max + 1
    actions = env.spec.new_actions(capacity)
    return Worker(
        number=i,
        epsilon_final=final_epsilon(i, config.workers, config.seed),
        optimizer_state=optimizer_state,
        obs=aligned_zeros((capacity, network.n_inputs), FLOAT),
        tape=network.tape(capacity),
        actions=actions,
        env_action=aligned_zeros((env.spec.n_actions,), actions.dtype),
        action_map=aligned_copy(action_map),
        rewards=aligned_zeros((capacity,), FLOAT),
        rng=aligned_copy(seed_row(config.seed, i)),
        env_state=env.new_state(),
        next_action=aligned_copy(np.array([-1])),
        episode=aligned_zeros((2,), np.float64),
        log=aligned_zeros((MAX_SEGMENTS, 3), np.float64),
        logged=aligned_zeros((1,), np.int64),
        learned=aligned_zeros((COLUMNS,), np.float64),
        scratch=make_scratch(network, algorithm, capacity),
    )


def describe_not_finite(worker: Worker, steps: int) -> str | None:
    """Return what the environment gave in the segment that worker has just played that is NaN or infinite, or None.

    steps  the worker's steps before the segment
    """
    observations = ~np.isfinite(worker.obs).all(axis=1)
    rewards = ~np.isfinite(worker.rewards)
    for row in range(len(observations)):
        if observations[row]:
            number = worker.obs[row][~np.isfinite(worker.obs[row])][0]
            when = f"at step {steps + row}" if row else f"by the reset after step {steps}"
            return f"an observation with the number {number} was returned {when}"
        if rewards[row]:
            return f"the reward {worker.rewards[row]} was returned at step {steps + row + 1}"
    return None


def make_scratch(network: Network, algorithm: Algorithm, capacity: int) -> Scratch:
    """Return new scratch arrays, which say nothing between two calls of the loop. All of them are zeros.

    capacity  the rows of a tape, t_max + 1
    """
    parameters = network.n_parameters
    return Scratch(
        theta_local=aligned_zeros((parameters if algorithm.local_copy else 0,), FLOAT),
        grad=aligned_zeros((parameters,), FLOAT),
        squares=aligned_zeros((blocks_of(parameters),), FLOAT),
        skipped=aligned_zeros((blocks_of(parameters),), np.int64),
        dtape=network.tape(capacity),
        bootstrap_tape=network.tape(capacity),
        work=aligned_zeros((network.n_work,), FLOAT),
    )


def share_scratch(worker: Worker, other: Worker) -> Worker:
    """Return `worker` with the scratch arrays of `other`. The two must run on the same thread."""
    return worker._replace(scratch=other.scratch)
