"""The loop: segments, bootstraps, theta', theta-, schedules and stopping, on environments that record what happens."""

import contextlib
import itertools
import sys

from support import naive
import numpy as np
import pytest
from numba.core.runtime import _nrt_python

from numasync.algorithms import ALGORITHMS, algorithm_for
from numasync.config import Config
from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.learner.loop import (
    FINISHED,
    MORE,
    NOT_FINITE,
    Shared,
    annealed_epsilon,
    apply_gradient,
    compile_loop,
    run_segments,
)
from numasync.learner.optim import BLOCK, OPTIMIZERS, new_state, sum_squares
from numasync.nn.network import backward, dense, forward, heads, lstm, network, outputs_of, relu
from numasync.runtime.jit import DISABLED, FLOAT, kernel
from numasync.training.trainer import FINAL_EPSILONS, final_epsilon, make_settings, make_worker

OPTIONS = dict(
    lr=0.01, optimizer="momentum_sgd", rms_decay=0.0, clip_norm=0.0, reward_clip=0.0, gamma=0.9, seed=1, t_max=5,
    steps=10**9, epsilon_steps=10**9, target_interval=10**9,
)  # fmt: skip
N_ACTIONS = 2

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


class Scripted(PythonEnv):
    """Plays `script`, (reward, end) pairs, over and over; keeps its actions, observations and number of resets."""

    def __init__(self, *script, on_step=lambda: None):
        super().__init__(EnvSpec("Scripted", "classic", Observation("vector", (3,)), N_ACTIONS))
        self.script = itertools.cycle(script)
        self.on_step = on_step
        self.actions, self.observations, self.resets = [], [], 0

    def restart(self, rng, obs):
        self.resets += 1
        self.observe(obs)

    def play(self, action, rng, obs):
        self.actions.append(int(action))
        self.on_step()
        self.observe(obs)
        return next(self.script)

    def observe(self, obs):
        obs[:] = np.sin(3 * len(self.observations) + np.arange(3))
        self.observations.append(obs.copy())


class Run:
    """Workers on one environment each, played from the test's own thread. theta- starts as another theta."""

    def __init__(self, algo, *envs, hidden=(dense(8), relu()), **options):
        config = Config(algo=algo, workers=len(envs), **{**OPTIONS, **options})
        spec = envs[0].spec
        self.algorithm, self.update = algorithm_for(algo, spec), OPTIMIZERS[config.optimizer].kernel
        outputs = (spec.n_actions, *self.algorithm.other_heads)
        self.network = network(spec.observation.network_shape, *hidden, heads(*outputs))
        self.envs, self.settings = envs, make_settings(config, self.algorithm, spec.n_actions)
        theta, theta_target = self.network.initial(1), self.network.initial(2)
        self.shared = Shared(theta, theta_target, np.zeros((len(envs), 8), np.int64), np.zeros(1, np.int64))
        self.workers = [
            make_worker(i, config, self.algorithm, self.network, env, new_state(theta.size))
            for i, env in enumerate(envs)
        ]
        for env, worker in zip(envs, self.workers):
            env.reset(worker.env_state, worker.rng, worker.obs[0])
        self.functions = (envs[0].reset, envs[0].step, self.algorithm.kernel, self.update)
        compile_loop(self.network.table, self.shared, self.workers[0], self.settings, self.functions)

    @property
    def worker(self):
        return self.workers[0]

    @property
    def T(self):
        return self.shared.steps[:, 0].sum()

    def play(self, segments=1, i=0):
        data = (self.network.table, self.shared, self.workers[i], self.settings)
        return run_segments(segments, *data, *self.functions)

    def outputs(self, theta, observations):
        """The network's outputs, computed apart from the loop."""
        obs = np.array(observations, FLOAT).reshape(-1, self.network.n_inputs)
        tape = self.network.tape(len(obs))
        forward(self.network.table, theta, obs, tape, 0, len(obs))
        return outputs_of(self.network.table, tape, len(obs)).copy()  # a view into the tape, which ends here

    def rows(self, tape):
        return outputs_of(self.network.table, tape, self.worker.obs.shape[0])

    def target(self, i):
        """y or R of step i of the last segment, from d_outputs: -2 (y - Q), or -(R - V) in the value column."""
        outputs, d_outputs = self.rows(self.worker.tape)[i], self.rows(self.worker.dtape)[i]
        if self.algorithm.other_heads:
            return outputs[-1] - d_outputs[-1]
        action = self.worker.actions[i]
        return outputs[action] - d_outputs[action] / 2


def test_sarsa_executes_the_action_of_its_target():
    env = Scripted(*[(1.0, RUNNING)] * 7, (1.0, TRUNCATED))
    run = Run("one_step_sarsa", env, t_max=3)
    promised = []
    for _ in range(60):
        at, resets = len(env.actions), env.resets
        planned = run.worker.next_action[0]
        run.play()
        if planned >= 0:
            assert env.actions[at] == planned
        n = len(env.actions) - at
        a_next = run.worker.actions[n]
        q_next = run.outputs(run.shared.theta_target, run.worker.obs[n])[0]
        np.testing.assert_allclose(run.target(n - 1), 1 + 0.9 * q_next[a_next], rtol=1e-5)
        # After an end the action of the target belongs to an episode that is over.
        assert run.worker.next_action[0] == (-1 if env.resets > resets else a_next)
        promised.append(run.worker.next_action[0])
    assert set(promised) == {-1, 0, 1}


@pytest.mark.parametrize("last", [TERMINATED, TRUNCATED])
@every_algorithm
def test_an_lstm_remembers_one_episode_across_segments_and_lost_lives(algo, last):
    # Nothing is learned, so every output can be computed from all observations, of which each ninth begins an episode.
    env = Scripted(*[(0.0, RUNNING)] * 4, (0.0, LIFE_LOST), *[(0.0, RUNNING)] * 2, (0.0, last))
    run = Run(algo, env, t_max=3, lr=0.0, hidden=(dense(6), relu(), lstm(5)))
    run.shared.theta_target[:] = run.shared.theta
    at, bootstraps = 0, 0
    while env.resets < 4:
        T = run.T
        run.play()
        n, stream = run.T - T, np.array(env.observations)
        expected = naive.network_forward(run.network, run.shared.theta, stream, range(0, len(stream), 9))[-1]
        np.testing.assert_allclose(run.rows(run.worker.tape)[:n], expected[at : at + n], rtol=1e-5, atol=1e-6)
        first = 1 if run.settings.one_step else n
        at += n
        for row in range(first, n + (at % 9 not in (5, 8) or (at % 9 == 8 and last == TRUNCATED))):
            bootstrap = run.rows(run.worker.bootstrap_tape)[row]
            np.testing.assert_allclose(bootstrap, expected[at - n + row], rtol=1e-5, atol=1e-6)
            bootstraps += 1
        at += at % 9 == 8
    assert bootstraps >= 3


@pytest.mark.parametrize("end", [RUNNING, TRUNCATED, TERMINATED, LIFE_LOST])
@every_algorithm
def test_which_ends_bootstrap(algo, end):
    run = Run(algo, Scripted((1.0, RUNNING), (2.0, end)), t_max=2)
    theta = run.shared.theta.copy()
    run.play()
    # V(s_2) under theta' (here still theta); max Q(s_2), or Q(s_2, a') for Sarsa, under theta-.
    value_of_end = {
        "a3c": lambda: run.outputs(theta, run.worker.obs[2])[0, -1],
        "one_step_sarsa": lambda: run.outputs(run.shared.theta_target, run.worker.obs[2])[0, run.worker.actions[2]],
    }.get(algo, lambda: run.outputs(run.shared.theta_target, run.worker.obs[2]).max())()
    assert abs(value_of_end) > 0.01
    bootstrap = 0.9 * value_of_end if end in (RUNNING, TRUNCATED) else 0.0
    np.testing.assert_allclose(run.target(1), 2 + bootstrap, rtol=1e-5)


@every_algorithm
def test_lost_life_neither_resets_nor_splits_the_logged_return(algo):
    env = Scripted((1.0, RUNNING), (2.0, LIFE_LOST), (3.0, RUNNING), (4.0, TERMINATED))
    run = Run(algo, env)
    run.play()
    assert (env.resets, run.worker.logged[0], run.T) == (1, 0, 2)
    np.testing.assert_array_equal(run.worker.obs[0], env.observations[2])
    run.play()
    assert (env.resets, run.worker.logged[0], run.T) == (2, 1, 4)
    np.testing.assert_array_equal(run.worker.log[0], [1 + 2 + 3 + 4, 4, 4])
    np.testing.assert_array_equal(run.worker.obs[0], env.observations[5])


def test_log_counts_the_steps_of_all_workers():
    run = Run("nstep_q", *(Scripted((1.0, RUNNING), (1.5, TRUNCATED)) for _ in range(2)))
    run.play(3, i=1)
    run.play(2, i=0)
    np.testing.assert_array_equal(run.workers[0].log[:2], [[2.5, 2, 8], [2.5, 2, 10]])
    assert run.workers[0].logged[0] == 2


@pytest.mark.parametrize(("clip", "seen"), [(1.0, [-1, 0.5, 1]), (0.0, [-5, 0.5, 7])])
@every_algorithm
def test_reward_clip_is_for_the_learner_only(algo, clip, seen):
    run = Run(algo, Scripted((-5.0, RUNNING), (0.5, RUNNING), (7.0, TERMINATED)), reward_clip=clip)
    run.play()
    np.testing.assert_array_equal(run.worker.rewards[:3], FLOAT(seen))
    assert run.worker.log[0, 0] == 2.5


@every_algorithm
def test_when_segments_end(algo):
    # Episodes of 7, t_max of 5. One-step methods update when t is a multiple of 5 or an episode has ended; the others
    # after 5 actions or at an end, counted from the update before.
    run = Run(algo, Scripted(*[(0.0, RUNNING)] * 6, (0.0, TERMINATED)))
    updated_at = []
    while run.T < 28:
        run.play()
        updated_at.append(run.T)
    expected = [5, 7, 10, 14, 15, 20, 21, 25, 28] if ALGORITHMS[algo].one_step else [5, 7, 12, 14, 19, 21, 26, 28]
    assert updated_at == expected


@every_algorithm
def test_parameters_within_a_segment_when_others_write_theta(algo):
    env = Scripted((1.0, RUNNING))
    run = Run(algo, env)

    def somebody_else_writes():
        run.shared.theta[:] += FLOAT(0.1)

    env.on_step = somebody_else_writes
    for segment in range(2):
        before = run.shared.theta.copy()
        run.play()
        # n-step methods act on theta' all along; a one-step method sees theta as it has become.
        written = np.zeros(5) if run.settings.local_copy else 0.1 * np.arange(5)
        seen = [run.outputs(before + FLOAT(w), env.observations[5 * segment + i])[0] for i, w in enumerate(written)]
        np.testing.assert_allclose(run.rows(run.worker.tape)[:5], seen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algo", ["nstep_q", "a3c"])
def test_the_gradient_at_theta_local_is_added_to_what_theta_has_become(algo):
    env = Scripted((1.0, RUNNING))
    run = Run(algo, env)
    before = run.shared.theta.copy()
    env.on_step = lambda: run.shared.theta.__iadd__(FLOAT(0.1))
    run.play()
    grad, worker = np.zeros_like(before), run.worker
    # obs[0] already belongs to the next segment.
    worker.obs[0] = env.observations[0]
    backward(run.network.table, before, worker.obs, worker.tape, worker.dtape.copy(), grad, worker.work, 5)
    np.testing.assert_allclose(run.shared.theta, before + 5 * FLOAT(0.1) - FLOAT(0.01) * grad, rtol=1e-5, atol=1e-6)
    assert np.abs(grad).max() > 0.1 and not worker.grad.any()


@pytest.mark.parametrize("algo", [name for name, a in ALGORITHMS.items() if a.target_network])
def test_target_is_copied_from_theta_when_shared_steps_cross_a_multiple(algo):
    run = Run(algo, *(Scripted((1.0, RUNNING)) for _ in range(3)), t_max=4, target_interval=10, lr=0.1)
    theta_target = run.shared.theta_target.copy()
    copied_at = []
    for turn in range(15):
        run.play(i=turn % 3)
        if run.T // 10 > (run.T - 4) // 10:
            copied_at.append(run.T)
            theta_target = run.shared.theta.copy()
            others = (worker for i, worker in enumerate(run.workers) if i != turn % 3)
            assert not any(np.array_equal(theta_target, worker.theta_local) for worker in others)
        np.testing.assert_array_equal(run.shared.theta_target, theta_target)
        assert run.shared.target_copies[0] == run.T // 10
        assert not np.array_equal(run.shared.theta_target, run.shared.theta) or run.T in copied_at
    assert copied_at == [12, 20, 32, 40, 52, 60]


def test_a_segment_that_crosses_two_multiples_copies_once_and_counts_both():
    run = Run("nstep_q", Scripted((1.0, RUNNING)), t_max=8, target_interval=3)
    run.play()
    assert run.shared.target_copies[0] == 2
    np.testing.assert_array_equal(run.shared.theta_target, run.shared.theta)


@pytest.mark.parametrize(("T", "expected"), [(0, 1.0), (250, 0.8), (500, 0.6), (1000, 0.2), (5000, 0.2)])
def test_epsilon_anneals_linearly_to_the_workers_own(T, expected):
    run = Run("nstep_q", Scripted((0.0, RUNNING)), epsilon_steps=1000)
    assert annealed_epsilon(T, run.worker._replace(epsilon_final=0.2), run.settings) == pytest.approx(expected)


@pytest.mark.parametrize(("T", "random"), [(0, 1.0), (500_000, 0.5), (1_000_000, 0.0)])
def test_exploration_follows_the_steps_of_all_workers(T, random):
    # A tiny learning rate keeps theta, so that the greedy actions can be computed afterwards.
    env = Scripted((0.0, RUNNING))
    run = Run("nstep_q", env, Scripted((0.0, RUNNING)), epsilon_steps=1_000_000, lr=1e-30)
    run.workers[0] = run.worker._replace(epsilon_final=0.0)
    run.network.views(run.shared.theta)["heads.bias"][:] = 0
    run.shared.steps[1, 0] = T
    run.play(200)
    greedy = run.outputs(run.shared.theta, env.observations[:1000]).argmax(1)
    # Half of the random actions of two are greedy as well; three standard deviations are 0.05.
    assert np.mean(greedy != env.actions) == pytest.approx(random / 2, abs=0.05 if random else 0.0)
    assert 0.05 < greedy.mean() < 0.95


@pytest.mark.parametrize("T", [0, 250, 750, 999])
def test_learning_rate_goes_linearly_to_zero(T):
    # a3c has no other schedule, so the segment is the same at any T; another worker's slot sets it.
    def first_step(T):
        run = Run("a3c", Scripted((1.0, RUNNING)), Scripted((1.0, RUNNING)), steps=1000)
        before = run.shared.theta.copy()
        run.shared.steps[1, 0] = T
        assert run.play() == MORE
        return run.shared.theta - before

    np.testing.assert_allclose(first_step(T), (1 - T / 1000) * first_step(0), rtol=1e-3, atol=2e-7)
    assert np.abs(first_step(T)).max() > 10 * 2e-7


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("algo", ["a3c", "one_step_q"])  # with theta', and without
def test_a_block_that_rests_learns_as_if_it_had_not(algo, optimizer):
    """Sparse gradients of two workers, against every update made on all parameters in float64."""
    env = Scripted((1.0, RUNNING))
    options = dict(optimizer=optimizer, rms_decay=0.9, rms_eps=0.1)
    run = Run(algo, env, Scripted((1.0, RUNNING)), hidden=(dense(3 * BLOCK),), **options)
    workers = [run.worker, run.workers[1]]
    if OPTIMIZERS[optimizer].shared_state:
        workers[1] = workers[1]._replace(optimizer_state=workers[0].optimizer_state)
    theta = run.shared.theta.astype(np.float64)
    states = {id(worker.optimizer_state): np.zeros_like(theta) for worker in workers}
    generator, skipped = np.random.default_rng(3), 0
    for i in generator.integers(2, size=60):
        worker, grad = workers[i], generator.standard_normal(theta.size).astype(FLOAT)
        blocks = np.arange(theta.size) // BLOCK
        grad[np.isin(blocks, np.flatnonzero(generator.random(blocks[-1] + 1) < 0.7))] = 0
        skipped += run.settings.lazy and (np.bincount(blocks, grad != 0) == 0).sum()
        worker.grad[:] = grad
        sum_squares(worker.grad, worker.squares)
        apply_gradient(run.shared, worker, run.settings, FLOAT(0.01), FLOAT(0.5), run.update, run.settings.local_copy)
        state = states[id(worker.optimizer_state)]
        if optimizer == "momentum_sgd":
            theta, state[:] = naive.momentum_sgd(theta, grad, state, 0.01, 0.9, 0.5)
        else:
            theta, state[:] = naive.rmsprop(theta, grad, state, 0.01, 0.9, 0.1, 0.5)
        np.testing.assert_allclose(run.shared.theta, theta, rtol=1e-5, atol=1e-6)
        assert not worker.grad.any()
        if algo == "a3c":
            np.testing.assert_array_equal(worker.theta_local, run.shared.theta)
    assert (skipped > 100) == OPTIMIZERS[optimizer].lazy


@pytest.mark.parametrize(("reward", "clip"), [(np.nan, 0.0), (np.nan, 1.0), (np.inf, 0.0)])
@every_algorithm
def test_a_reward_that_is_not_finite_stops_before_theta(algo, reward, clip):
    run = Run(algo, Scripted((1.0, RUNNING), (reward, RUNNING), (1.0, TERMINATED)), reward_clip=clip)
    before = run.shared.theta.copy()
    assert run.play(5) == NOT_FINITE
    np.testing.assert_array_equal(run.shared.theta, before)
    assert not run.worker.optimizer_state.values.any() and run.T == 0


@every_algorithm
def test_a_run_stops_at_max_steps(algo):
    run = Run(algo, *(Scripted((1.0, RUNNING)) for _ in range(2)), steps=17)
    assert run.play(2) == MORE and run.T == 10
    assert run.play(1, i=1) == MORE and run.T == 15
    assert run.play(9) == FINISHED and run.T == 20
    theta = run.shared.theta.copy()
    assert run.play(9, i=1) == FINISHED and run.T == 20
    np.testing.assert_array_equal(run.shared.theta, theta)


class Twin(PythonEnv):
    """A jitted environment, played from Python."""

    def __init__(self, env):
        super().__init__(env.spec)
        self.env, self.state = env, env.new_state()

    def restart(self, rng, obs):
        self.env.reset(self.state, rng, obs)

    def play(self, action, rng, obs):
        return self.env.step(self.state, action, rng, obs)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Catch-v0"])
@every_algorithm
def test_an_environment_in_python_gives_the_run_of_its_jitted_twin(algo, env_id):
    segments = 25 if DISABLED else 250
    options = dict(epsilon_steps=500, target_interval=100, steps=2000, optimizer="shared_rmsprop", rms_decay=0.99)
    jitted, python = (Run(algo, env, **options) for env in (make_env(env_id), Twin(make_env(env_id))))
    for run in (jitted, python):
        assert run.play(segments) == MORE
    assert jitted.T == python.T > 3 * segments and jitted.worker.logged[0] == python.worker.logged[0] > segments / 25
    for name in ("log", "rng", "obs", "actions", "rewards", "episode", "tape"):
        np.testing.assert_array_equal(getattr(jitted.worker, name), getattr(python.worker, name))
    np.testing.assert_array_equal(jitted.shared.theta, python.shared.theta)
    np.testing.assert_array_equal(jitted.shared.theta_target, python.shared.theta_target)


@pytest.mark.parametrize("fails", ["restart", "play"])
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
    # Up to a failing play nothing is learned; a failing restart follows an episode.
    assert np.array_equal(run.shared.theta, theta) == (fails == "play") and np.isfinite(run.shared.theta).all()
    assert run.play(3) == MORE


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_a_call_keeps_no_reference_to_what_it_was_given(error):
    failing = []

    def on_step():
        env.actions.clear(), env.observations.clear()
        if failing:
            raise error

    env = Scripted((1.0, RUNNING), (1.0, TERMINATED), on_step=on_step)
    run = Run("a3c", env, target_interval=10)

    def references():
        return [sys.getrefcount(x) for x in (env, run.shared.theta, *run.worker[2:])]

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


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
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


def test_final_epsilons_of_one_run():
    """As the paper's probabilities have it, give or take one worker."""
    for workers in (1, 2, 3, 8, 16, 50):
        for seed in range(40):
            final = [final_epsilon(i, workers, seed) for i in range(workers)]
            for value, probability in {0.1: 0.4, 0.01: 0.3, 0.5: 0.3}.items():
                assert abs(final.count(value) - probability * workers) < 1 + 1e-9


@pytest.mark.parametrize("i", [0, 5, 15])
def test_final_epsilons_of_one_worker(i):
    """Over many seeds: each with the paper's probability, whichever worker it is."""
    final = [final_epsilon(i, 16, seed) for seed in range(2000)]
    assert set(final) == set(FINAL_EPSILONS)
    # Four standard deviations of a proportion near 0.35 over 2000 are 0.04.
    for value, probability in {0.1: 0.4, 0.01: 0.3, 0.5: 0.3}.items():
        assert final.count(value) / 2000 == pytest.approx(probability, abs=0.045)


def test_workers_have_their_final_epsilons():
    run = Run("nstep_q", *[Scripted((0.0, RUNNING)) for _ in range(5)], seed=3)
    assert [worker.epsilon_final for worker in run.workers] == [final_epsilon(i, 5, 3) for i in range(5)]
