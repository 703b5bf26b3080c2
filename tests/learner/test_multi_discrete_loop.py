"""The loop with actions of several integers, on an environment that keeps what it gets."""

import numpy as np
from support.segments import Run

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import RUNNING, EnvSpec
from numasync.nn import reference


class Recorder(PythonEnv):
    """An environment whose actions are two integers. It keeps what it gets, and overwrites it."""

    def __init__(self):
        super().__init__(EnvSpec("Recorder", "classic", Observation("vector", (3,)), 2, nvec=(3, 2)))
        self.actions = []

    def on_reset(self, rng, obs):
        obs[:] = 1

    def on_step(self, action, rng, obs):
        self.actions.append(action.copy())
        action[:] = -1
        obs[:] = np.sin(len(self.actions) + np.arange(3))
        return float(len(self.actions) % 3), RUNNING


def test_the_environment_gets_a_copy_of_the_integers_and_the_learner_keeps_the_draw():
    env = Recorder()
    run = Run("a3c", env)
    run.play()
    np.testing.assert_array_equal(run.worker.actions[:5], env.actions)
    assert len({tuple(action) for action in env.actions}) > 1


def test_a_segment_has_the_gradient_of_the_reference():
    run = Run("a3c", Recorder(), beta=0.1)
    theta = run.shared.theta.astype(np.float64)
    run.play()
    outputs, worker = run.rows(run.worker.tape).astype(np.float64), run.worker
    end = run.outputs(theta.astype(np.float32), worker.obs[5])[0, -1]
    R = reference.returns(worker.rewards[:5].astype(np.float64), end, 0.9)
    _, expected = reference.a3c_multi_discrete(outputs[:5], (3, 2), worker.actions[:5], R, 0.1)
    np.testing.assert_allclose(run.rows(worker.scratch.dtape)[:5], expected, rtol=1e-4, atol=1e-5)
