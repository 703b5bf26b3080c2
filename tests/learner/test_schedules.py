"""What depends on T, the steps over all workers: theta-, epsilon, the learning rate, and the end of a run."""

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.algorithms import ALGORITHMS
from numasync.envs.spec import RUNNING
from numasync.learner.loop import FINISHED, MORE, annealed_epsilon
from numasync.training.workers import FINAL_EPSILONS, final_epsilon


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
            assert not any(np.array_equal(theta_target, worker.scratch.theta_local) for worker in others)
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


@every_algorithm
def test_a_run_stops_at_max_steps(algo):
    run = Run(algo, *(Scripted((1.0, RUNNING)) for _ in range(2)), steps=17)
    assert run.play(2) == MORE and run.T == 10
    assert run.play(1, i=1) == MORE and run.T == 15
    assert run.play(9) == FINISHED and run.T == 20
    theta = run.shared.theta.copy()
    assert run.play(9, i=1) == FINISHED and run.T == 20
    np.testing.assert_array_equal(run.shared.theta, theta)


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
