"""Workers on scripted environments: a test plays their segments from its own thread and looks at what happened."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numasync.algorithms import ALGORITHMS, algorithm_for
from numasync.config import Config
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import Environment, EnvSpec
from numasync.learner.counters import address_of_measure
from numasync.learner.loop import Shared, Worker, compile_loop, run_segments
from numasync.learner.moments import begin_moments, count_observation, new_moments
from numasync.learner.optim import OPTIMIZERS, new_state
from numasync.nn.network import network
from numasync.nn.passes import forward, outputs_of
from numasync.nn.spec import Layer, dense, heads, relu
from numasync.runtime.jit import FLOAT
from numasync.training.workers import make_settings, make_worker

OPTIONS = dict(
    lr=0.01,
    optimizer="momentum_sgd",
    rms_decay=0.0,
    clip_norm=0.0,
    reward_clip=0.0,
    gamma=0.9,
    seed=1,
    t_max=5,
    steps=10**9,
    epsilon_steps=10**9,
    target_interval=10**9,
)
N_ACTIONS = 2

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


class Scripted(PythonEnv):
    """An environment that plays `script`, (reward, end) pairs, over and over.

    It keeps its actions, its observations and the number of resets. on_play is called at each step.
    """

    def __init__(self, *script: tuple[float, int], on_play: Callable[[], Any] = lambda: None) -> None:
        super().__init__(EnvSpec("Scripted", "classic", Observation("vector", (3,)), N_ACTIONS))
        self.script = itertools.cycle(script)
        self.on_play = on_play
        self.actions: list[int] = []
        self.observations: list[np.ndarray] = []
        self.resets = 0

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        """Count the reset, and give an observation."""
        self.resets += 1
        self.observe(obs)

    def on_step(self, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[float, int]:
        """Keep the action, and give an observation and what the script says."""
        self.actions.append(int(action))
        self.on_play()
        self.observe(obs)
        return next(self.script)

    def observe(self, obs: np.ndarray) -> None:
        """Write the next observation."""
        obs[:] = np.sin(3 * len(self.observations) + np.arange(3))
        self.observations.append(obs.copy())


class Run:
    """Workers on one environment each. theta- starts as another theta."""

    def __init__(
        self,
        algo: str,
        *envs: Environment,
        hidden: tuple[Layer, ...] = (dense(8), relu()),
        normalize: bool = False,
        **options: Any,
    ) -> None:
        config = Config(algo=algo, workers=len(envs), **{**OPTIONS, **options})
        spec = envs[0].spec
        self.algorithm, self.update = algorithm_for(algo, spec), OPTIMIZERS[config.optimizer].kernel
        outputs = (*spec.action_heads, *self.algorithm.other_heads)
        self.network = network(spec.observation.network_shape, *hidden, heads(*outputs), normalize=normalize)
        self.table = self.network.table
        self.envs = envs
        settings = make_settings(config, self.algorithm, spec.n_actions, normalized=normalize)
        self.settings = settings._replace(measure=address_of_measure(self.algorithm.policy, spec.action_map))
        theta, theta_target = self.network.initial(1), self.network.initial(2)
        counters = np.zeros((len(envs), 16), np.int64), np.zeros(1, np.int64)
        moments = new_moments(len(envs), self.network.n_inputs if normalize else 0)
        self.shared = Shared(theta, theta_target, *counters, moments)
        self.workers = [
            make_worker(i, config, self.algorithm, self.network, env, spec.action_map, new_state(theta.size))
            for i, env in enumerate(envs)
        ]
        for env, worker in zip(envs, self.workers):
            env.reset(worker.env_state, worker.rng, worker.obs[0])
        if normalize:
            begin_moments(moments, theta, self.worker.obs[0])
            for worker in self.workers:
                count_observation(moments.sums[worker.number], worker.obs[0], moments.shift)
        self.functions = (envs[0].reset, envs[0].step, self.algorithm.kernel, self.update)
        compile_loop(self.shared, self.worker, self.settings, self.functions)

    @property
    def worker(self) -> Worker:
        """The first worker."""
        return self.workers[0]

    @property
    def T(self) -> int:
        """Steps over all workers."""
        return self.shared.steps[:, 0].sum()

    def play(self, segments: int = 1, i: int = 0) -> int:
        """Play segments with worker i, and return what the loop says."""
        return run_segments(self.shared, self.workers[i], self.table, self.settings, segments, *self.functions)

    def outputs(self, theta: np.ndarray, observations: Any) -> np.ndarray:
        """Return the network's outputs, computed apart from the loop."""
        obs = np.array(observations, FLOAT).reshape(-1, self.network.n_inputs)
        tape = self.network.tape(len(obs))
        forward(tape, obs, theta, self.table, 0, len(obs))
        return outputs_of(tape, self.table, len(obs)).copy()  # a view into the tape, which ends here

    def rows(self, tape: np.ndarray) -> np.ndarray:
        """Return the block of the outputs on one of the worker's tapes."""
        return outputs_of(tape, self.table, self.worker.obs.shape[0])

    def target(self, i: int) -> float:
        """Return y or R of step i of the last segment.

        d_outputs tells it: -2 (y - Q), or -(R - V) in the value column.
        """
        outputs, d_outputs = self.rows(self.worker.tape)[i], self.rows(self.worker.scratch.dtape)[i]
        if self.algorithm.other_heads:
            return outputs[-1] - d_outputs[-1]
        action = self.worker.actions[i]
        return outputs[action] - d_outputs[action] / 2
