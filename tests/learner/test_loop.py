"""The loop: segments, bootstraps, theta' and hidden states, on environments that record what happens."""

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.algorithms import ALGORITHMS
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.nn import reference
from numasync.nn.spec import dense, lstm, relu
from numasync.runtime.jit import FLOAT


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
    # Next to nothing is learned, so every output can be computed from all observations. Each ninth begins an episode.
    env = Scripted(*[(0.0, RUNNING)] * 4, (0.0, LIFE_LOST), *[(0.0, RUNNING)] * 2, (0.0, last))
    run = Run(algo, env, t_max=3, lr=1e-30, hidden=(dense(6), relu(), lstm(5)))
    run.shared.theta_target[:] = run.shared.theta
    at, bootstraps = 0, 0
    while env.resets < 4:
        T = run.T
        run.play()
        n, stream = run.T - T, np.array(env.observations)
        expected = reference.network_forward(stream, run.shared.theta, run.network, range(0, len(stream), 9))[-1]
        np.testing.assert_allclose(run.rows(run.worker.tape)[:n], expected[at : at + n], rtol=1e-5, atol=1e-6)
        first = 1 if run.settings.one_step else n
        at += n
        for row in range(first, n + (at % 9 not in (5, 8) or (at % 9 == 8 and last == TRUNCATED))):
            bootstrap = run.rows(run.worker.scratch.bootstrap_tape)[row]
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

    env.on_play = somebody_else_writes
    for segment in range(2):
        before = run.shared.theta.copy()
        run.play()
        # n-step methods act on theta' all along; a one-step method sees theta as it has become.
        written = np.zeros(5) if run.settings.local_copy else 0.1 * np.arange(5)
        seen = [run.outputs(before + FLOAT(w), env.observations[5 * segment + i])[0] for i, w in enumerate(written)]
        np.testing.assert_allclose(run.rows(run.worker.tape)[:5], seen, rtol=1e-4, atol=1e-5)


class Recorder(PythonEnv):
    """An environment of two continuous actions, the first between 0 and 2000. It keeps what it gets."""

    def __init__(self):
        bounds = ((0.0, -np.inf), (2000.0, np.inf))
        super().__init__(EnvSpec("Recorder", "continuous", Observation("vector", (3,)), 2, bounds))
        self.actions = []

    def on_reset(self, rng, obs):
        obs[:] = 1

    def on_step(self, action, rng, obs):
        self.actions.append(action.copy())
        return 1.0, RUNNING


def test_the_environment_gets_a_continuous_action_in_its_units_and_the_learner_keeps_the_draw():
    env = Recorder()
    run = Run("a3c", env, lr=1e-6)
    run.play()
    drawn, played = run.worker.actions[:5], np.array(env.actions)
    np.testing.assert_allclose(played[:, 0], np.clip(1000 + 1000 * drawn[:, 0], 0, 2000), rtol=1e-6)
    np.testing.assert_array_equal(played[:, 1], drawn[:, 1])
    assert played.shape == (5, 2) and np.abs(drawn).max() < 5


def test_counted_actions_reach_the_environment_as_they_are():
    env = Scripted((1.0, RUNNING))
    run = Run("a3c", env)
    run.play()
    assert env.actions == run.worker.actions[:5].tolist()
