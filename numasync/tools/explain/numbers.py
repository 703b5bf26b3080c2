"""The numbers of one segment: a short training, then a segment that a Recorder writes down."""

import math
from typing import Any, NamedTuple

import numpy as np

from numasync.agent.agent import Agent
from numasync.algorithms import Algorithm
from numasync.config import Config
from numasync.envs.spec import RUNNING, EnvSpec
from numasync.errors import InputError
from numasync.learner.loop import Settings, compile_loop
from numasync.learner.optim import gradient_norm
from numasync.learner.recording import Recorder, Segment, Step, Update
from numasync.nn.network import Network, outputs_on
from numasync.nn.table import OUT_AT, OUT_SIZE, STATE_AT, STATE_SIZE
from numasync.runtime.compilation import OnCompiled, watch_compilation
from numasync.runtime.jit import FLOAT
from numasync.training.trainer import Trainer

# The most steps in which a segment is searched for in which an episode ends.
LONGEST_SEARCH = 100_000
# Shorter segments, at the end of an episode, say little. The most of them that are passed over.
LEAST, MOST_SHORT = 3, 100


class Start(NamedTuple):
    """What a segment of n steps begins with.

    T             the steps of all workers before it
    epsilon       the probability of a random action (Q methods)
    theta         the shared parameters, float32 (n_parameters,)
    theta_target  theta-
    states        h and c of each LSTM layer before s_0, (2, units) each
    planned       whether the segment before has chosen a_0
    """

    T: int
    epsilon: float
    theta: np.ndarray
    theta_target: np.ndarray
    states: list[np.ndarray]
    planned: bool


class Numbers(NamedTuple):
    """All numbers of a segment of n steps, as the loop and its kernels had them.

    first, last       the rows of `bootstrap` that the algorithm reads are first..last - 1
    obs               s_0 .. s_n, (n + 1, inputs)
    layers            the outputs of each row of the layer table, (n, size); a relu overwrites what it reads
    outputs           of the network for s_0 .. s_{n-1}, (n, n_outputs)
    bootstrap         of the network for s_0 .. s_n with the parameters of the bootstrap, (n + 1, n_outputs)
    bootstrap_states  h and c of each LSTM layer before row `first`
    actions           a_0 .. a_{n-1} as the policy drew them, and behind them a_n, if the algorithm plans it
    rewards           clipped, (n,)
    d_outputs         d(loss)/d(outputs) of the algorithm, (n, n_outputs)
    d_held            the same after `hold_means`, which changes it for continuous actions alone
    grad              d(loss)/d(theta), (n_parameters,)
    updated           whether each parameter is in a block that was updated: a block without a gradient is skipped
    g, g_after        the optimiser's g (or m) before and after; theta_after: theta after
    """

    config: Config
    spec: EnvSpec
    network: Network
    algorithm: Algorithm
    settings: Settings
    start: Start
    n: int
    first: int
    last: int
    terminated: bool
    steps: list[Step]
    obs: np.ndarray
    layers: list[np.ndarray]
    outputs: np.ndarray
    bootstrap: np.ndarray
    bootstrap_states: list[np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    loss: float
    d_outputs: np.ndarray
    d_held: np.ndarray
    grad: np.ndarray
    grad_norm: float
    scale: float
    lr: float
    updated: np.ndarray
    g: np.ndarray
    g_after: np.ndarray
    theta_after: np.ndarray

    @property
    def bootstrap_theta(self) -> np.ndarray:
        """The parameters that the bootstrap comes from."""
        return self.start.theta_target if self.settings.target_network else self.start.theta

    @property
    def end(self) -> int:
        """How the last step ends."""
        return self.steps[-1].end


def play(agent: Agent, after: int, episode_end: bool, on_compiled: OnCompiled = lambda *_: None) -> Numbers:
    """Train for `after` steps, then play the first segment that is long enough, and return its numbers.

    agent        an agent that was not trained yet
    after        steps over all workers
    episode_end  whether to play on until an episode ends in a segment, however long it is
    on_compiled  called after each kernel that is compiled

    Raises what `Trainer.run_segments_of` raises, and InputError where no episode ends.
    """
    trainer = Trainer(agent.config, agent.spec, agent.network, agent.theta)
    try:
        with watch_compilation(trainer.kernels, on_compiled):
            trainer.build()
            recorder = Recorder(trainer.functions, trainer.workers[0], trainer.theta)
            compile_loop(trainer.shared, trainer.workers[0], trainer.settings, Recorder.kernels)
        train_for(trainer, after)
        trainer.functions = Recorder.kernels
        for left in reversed(range(math.ceil(LONGEST_SEARCH / agent.config.t_max) if episode_end else MOST_SHORT)):
            start = look_at(trainer)
            with recorder.record():
                trainer.run_segments_of(0, 1)
            if not recorder.steps:
                raise InputError(f"steps is {agent.config.steps}, and the segment begins later; give more steps.")
            ended, long = recorder.steps[-1].end != RUNNING, len(recorder.steps) >= min(LEAST, agent.config.t_max)
            if ended if episode_end else long or not left:
                return gather(trainer, start, recorder)
        raise InputError(f"No episode of {agent.config.env} ended in {LONGEST_SEARCH:,} steps; leave out episode_end.")
    finally:
        trainer.close()


def train_for(trainer: Trainer, after: int) -> None:
    """Train for some steps over all workers. They play in turn, one segment each, and a single one plays many."""
    workers, t_max = trainer.config.workers, trainer.config.t_max
    while trainer.steps < after:
        segments = 1 if workers > 1 else max(1, (after - trainer.steps) // t_max)
        for i in range(workers):
            trainer.run_segments_of(i, segments)


def look_at(trainer: Trainer) -> Start:
    """Return what the next segment of worker 0 begins with."""
    worker, config = trainer.workers[0], trainer.config
    done = min(trainer.steps / config.epsilon_steps, 1.0)
    return Start(
        T=trainer.steps,
        epsilon=1.0 + done * (worker.epsilon_final - 1.0),
        theta=trainer.theta.copy(),
        theta_target=trainer.shared.theta_target.copy(),
        states=states_at(trainer.network, worker.tape, config.t_max + 1, 0),
        planned=bool(worker.next_action[0] >= 0),
    )


def states_at(network: Network, tape: np.ndarray, capacity: int, step: int) -> list[np.ndarray]:
    """Return h and c of each LSTM layer before a step, (2, units) each. capacity: of the tape."""
    rows = [row for row in network.rows if row[STATE_SIZE]]
    starts = [(capacity + 1) * row[STATE_AT] + step * row[STATE_SIZE] for row in rows]
    # The first number of a state only says whether an episode has begun before.
    return [tape[at + 1 : at + row[STATE_SIZE]].reshape(2, -1).copy() for at, row in zip(starts, rows)]


def gather(trainer: Trainer, start: Start, recorder: Recorder) -> Numbers:
    """Return the numbers of the segment that was just recorded."""
    segment, settings, network = recorder.segment, trainer.settings, trainer.network
    assert segment
    n, capacity = segment.n, trainer.config.t_max + 1
    first = 1 if settings.one_step else n
    worker = trainer.workers[0]
    return Numbers(
        config=trainer.config,
        spec=trainer.spec,
        network=network,
        algorithm=trainer.algorithm,
        settings=settings,
        start=start,
        n=n,
        first=first,
        last=n if segment.terminated else n + 1,
        terminated=segment.terminated,
        steps=recorder.steps,
        obs=segment.obs[: n + 1],
        layers=layers_on(network, segment.tape, capacity, n),
        outputs=outputs_on(segment.tape, network, capacity)[:n],
        bootstrap=segment.bootstrap[: n + 1],
        bootstrap_states=states_at(network, segment.tape, capacity, first),
        actions=actions_of(segment, settings),
        rewards=segment.rewards[:n],
        loss=segment.loss,
        d_outputs=segment.d_outputs,
        d_held=outputs_on(worker.scratch.dtape, network, capacity)[:n].copy(),
        grad_norm=float(gradient_norm(worker.scratch.squares)),
        **whole(recorder.updates, start, trainer),
    )


def layers_on(network: Network, tape: np.ndarray, capacity: int, n: int) -> list[np.ndarray]:
    """Return the outputs of each row of the layer table on a tape, for n steps: (n, size) each."""
    starts = [(capacity + 1) * row[OUT_AT] for row in network.rows]
    sizes = [row[OUT_SIZE] for row in network.rows]
    return [tape[at : at + n * size].reshape(n, size) for at, size in zip(starts, sizes)]


def actions_of(segment: Segment, settings: Settings) -> np.ndarray:
    """Return the actions of a segment, and the one that is planned for s_n."""
    planned = settings.next_action and not segment.terminated
    return segment.actions[: segment.n + planned]


def whole(updates: list[Update], start: Start, trainer: Trainer) -> dict[str, Any]:
    """Return the updates of blocks as arrays over all parameters. What is in no block stays as it was."""
    theta = start.theta
    arrays = dict(grad=np.zeros_like(theta), g=np.zeros_like(theta), g_after=np.zeros_like(theta))
    arrays |= dict(theta_after=theta.copy(), updated=np.zeros(theta.size, bool))
    for update in updates:
        part = slice(update.at, update.at + update.theta.size)
        arrays["grad"][part], arrays["g"][part] = update.grad, update.values
        arrays["g_after"][part], arrays["theta_after"][part] = update.values_after, update.theta_after
        arrays["updated"][part] = True
    lr = trainer.schedule.rate(start.T)
    lr, scale = (updates[0].lr, updates[0].scale) if updates else (float(FLOAT(lr)), 1.0)
    return {**arrays, "lr": lr, "scale": scale}
