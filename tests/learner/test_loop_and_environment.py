"""The loop with environments in Python and jitted ones: the same runs, errors, references and memory."""

import contextlib
import sys

import numpy as np
import pytest
from numba.core.runtime import _nrt_python
from support.segments import Run, Scripted, every_algorithm

from numasync.envs import make_env
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.learner.loop import FINISHED, MORE, NOT_FINITE
from numasync.runtime.jit import DISABLED, FLOAT, kernel


class FromPython(PythonEnv):
    """A jitted environment, played from Python."""

    def __init__(self, env):
        super().__init__(env.spec)
        self.env, self.state = env, env.new_state()

    def on_reset(self, rng, obs):
        self.env.reset(self.state, rng, obs)

    def on_step(self, action, rng, obs):
        return self.env.step(self.state, action, rng, obs)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Catch-v0"])
@every_algorithm
def test_an_environment_in_python_gives_the_run_of_the_jitted_one(algo, env_id):
    segments = 25 if DISABLED else 250
    options = dict(epsilon_steps=500, target_interval=100, steps=2000, optimizer="shared_rmsprop", rms_decay=0.99)
    jitted, python = (Run(algo, env, **options) for env in (make_env(env_id), FromPython(make_env(env_id))))
    for run in (jitted, python):
        assert run.play(segments) == MORE
    assert jitted.T == python.T > 3 * segments and jitted.worker.logged[0] == python.worker.logged[0] > segments / 25
    for name in ("log", "rng", "obs", "actions", "rewards", "episode", "tape"):
        np.testing.assert_array_equal(getattr(jitted.worker, name), getattr(python.worker, name))
    np.testing.assert_array_equal(jitted.shared.theta, python.shared.theta)
    np.testing.assert_array_equal(jitted.shared.theta_target, python.shared.theta_target)


@pytest.mark.parametrize("fails", ["on_reset", "on_step"])
def test_what_an_environment_raises_leaves_the_loop_as_it_is(monkeypatch, fails):
    env = Scripted(*[(1.0, RUNNING)] * 6, (1.0, TERMINATED))
    run = Run("a3c", env)
    theta = run.shared.theta.copy()
    error = KeyError("boom")

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(env, fails, fail)
        for _ in range(3):
            with pytest.raises(KeyError) as caught:
                run.play(9)
            assert caught.value is error and caught.traceback[-1].name == "fail"
    # Up to a failing step nothing is learned. A failing reset follows an episode.
    assert np.array_equal(run.shared.theta, theta) == (fails == "on_step") and np.isfinite(run.shared.theta).all()
    assert run.play(3) == MORE


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_a_call_keeps_no_reference_to_what_it_was_given(error):
    failing = []

    def on_play():
        env.actions.clear(), env.observations.clear()
        if failing:
            raise error

    env = Scripted((1.0, RUNNING), (1.0, TERMINATED), on_play=on_play)
    run = Run("a3c", env, target_interval=10)

    def references():
        return [sys.getrefcount(x) for x in (env, run.shared.theta, *run.worker[2:], *run.worker.scratch)]

    run.play()
    before = references()
    failing.extend([True] * (error is not None))
    for _ in range(100):
        with pytest.raises(error) if error else contextlib.nullcontext():
            run.play(10)
        run.worker.logged[0] = 0
    assert references() == before


@kernel
def nan_step(state, action, rng, obs):
    obs[:] = FLOAT(1)
    return np.nan, TERMINATED


@pytest.mark.compiled
@every_algorithm
class TestJittedEnvironment:
    @pytest.mark.parametrize("clip", [0.0, 1.0])
    def test_finds_nan(self, algo, clip):
        run = Run(algo, make_env("Catch-v0")._replace(step=nan_step), reward_clip=clip)
        before = run.shared.theta.copy()
        assert run.play(5) == NOT_FINITE
        np.testing.assert_array_equal(run.shared.theta, before)

    def test_stops(self, algo):
        run = Run(algo, make_env("Catch-v0"), steps=100)
        assert run.play(1000) == FINISHED
        assert 100 <= run.T < 105

    def test_allocates_nothing(self, algo):
        run = Run(algo, make_env("Catch-v0"), target_interval=10)

        def allocations(segments):
            before = _nrt_python.memsys_get_stats_alloc()
            run.play(segments)
            return _nrt_python.memsys_get_stats_alloc() - before

        _nrt_python.memsys_enable_stats()
        try:
            # Where the arguments of a call are wrapped, that allocates; a segment does not.
            assert allocations(1) == allocations(100)
        finally:
            _nrt_python.memsys_disable_stats()
