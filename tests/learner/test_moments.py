"""The running mean and deviation of observations: what is counted, and what the network sees of it."""

import itertools

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED
from numasync.learner.moments import begin_moments, count_observation, new_moments, write_statistics
from numasync.nn import reference
from numasync.nn.spec import dense, lstm, relu
from numasync.runtime.jit import FLOAT

EPISODES = (
    [(1.0, RUNNING)] * 4 + [(1.0, LIFE_LOST), (1.0, RUNNING), (0.0, TERMINATED)],
    [(1.0, RUNNING)] * 2 + [(1.0, TRUNCATED)],
)


class Uneven(Scripted):
    """An environment whose three numbers have other means and deviations each. The first hardly moves beside its mean.

    number  of the environment, which has a stream of random numbers of its own
    """

    def __init__(self, number=0):
        super().__init__(*EPISODES[number % 2])
        self.draws = np.random.default_rng(number)

    def observe(self, obs):
        """Write the next observation."""
        obs[:] = [5e4, 1e-3, -2.0] + self.draws.standard_normal(3) * [3.0, 1e-4, 1e4]
        self.observations.append(obs.copy())


def check(run):
    """Check what was counted against all observations of all environments, and that theta knows nearly all of them."""
    seen = np.array([obs for env in run.envs for obs in env.observations], np.float64)
    theta = run.shared.theta.copy()
    write_statistics(theta, run.shared.moments.sums, run.shared.moments.shift)
    mean, deviation, counts = theta[:9].reshape(3, 3)
    np.testing.assert_array_equal(counts, len(seen))
    known = run.shared.theta[6:9]
    assert (known == len(seen)).all() if len(seen) < 100 else (0.98 * len(seen) - 8 < known).all()
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(seen.var(axis=0) + 1e-8), rtol=1e-6)


@every_algorithm
@pytest.mark.parametrize("hidden", [(dense(8), relu()), (dense(6), relu(), lstm(5))], ids=["feedforward", "lstm"])
def test_each_observation_of_an_environment_is_counted_once(algo, hidden):
    run = Run(algo, Uneven(), hidden=hidden, normalize=True)
    for _ in range(20):
        run.play()
        check(run)
    assert run.envs[0].resets > 5 and len(run.envs[0].observations) == run.T + run.envs[0].resets


def test_the_observations_of_all_workers_are_counted():
    run = Run("a3c", *(Uneven(i) for i in range(3)), normalize=True)
    for i in (0, 2, 2, 1, 0, 1, 2, 1, 1):
        run.play(3, i)
        check(run)


@every_algorithm
def test_the_network_sees_normalized_numbers_that_stay_as_they_are_for_a_segment(algo):
    run = Run(algo, Uneven(), normalize=True, lr=1e-30)
    run.shared.theta_target[:] = run.shared.theta
    for _ in range(8):
        theta, at = run.shared.theta.copy(), len(run.envs[0].observations) - 1
        T = run.T
        run.play()
        n = run.T - T
        raw = np.array(run.envs[0].observations[at : at + n])
        np.testing.assert_array_equal(run.worker.obs[1:n], raw[1:])  # the environment's own numbers
        moments = run.network.views(theta)["normalize.moments"]
        normalized = run.worker.tape[: 3 * n].reshape(n, 3)
        np.testing.assert_allclose(normalized, reference.normalize(raw, moments), rtol=1e-5, atol=1e-5)
        expected = reference.network_forward(raw, theta, run.network)[-1]
        np.testing.assert_allclose(run.rows(run.worker.tape)[:n], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(normalized).max() < 5 and np.abs(normalized).std() > 0.1


@pytest.mark.parametrize("optimizer", ["shared_rmsprop", "rmsprop", "momentum_sgd"])
def test_no_optimizer_changes_the_statistics(optimizer):
    run = Run("a3c", Uneven(), normalize=True, optimizer=optimizer, rms_decay=0.9, lr=1e-3)
    before = run.shared.theta.copy()
    for _ in range(10):
        run.play(5)
        check(run)
    at = 3 * run.network.n_inputs
    assert not np.array_equal(before[at:], run.shared.theta[at:])


def measured(observations, n, theta=None, rows=1):
    """Return mean, deviation and count of observations that `rows` workers counted in turn, and the moments."""
    theta = np.zeros(3 * n, FLOAT) if theta is None else theta.copy()
    moments = new_moments(rows, n)
    begin_moments(moments, theta, observations[0])
    for obs, worker in zip(observations, itertools.cycle(range(rows))):
        count_observation(moments.sums[worker], obs, moments.shift)
    write_statistics(theta, moments.sums, moments.shift)
    return (*theta.reshape(3, n), moments)


def test_a_number_that_never_changes_becomes_0():
    values = np.array([0.0, 1e-20, 0.1, -123456.789, 3e38], FLOAT)
    mean, deviation, counts, _ = measured([values] * 1000, 5, rows=3)
    np.testing.assert_array_equal(mean, values)
    np.testing.assert_allclose(deviation, 1e-4)
    np.testing.assert_array_equal(reference.normalize(values, np.array([mean, deviation])), 0.0)
    assert (counts == 1000).all()


def test_an_observation_that_is_not_finite_is_left_out():
    seen = np.array([[1.0, 2.0], [3.0, 6.0]], FLOAT)
    for bad in (np.nan, np.inf, -np.inf):
        broken = np.array([[7.0, bad], [bad, 7.0]], FLOAT)
        mean, deviation, counts, _ = measured([*broken, *seen, *broken], 2)
        np.testing.assert_allclose([mean, deviation, counts], [[2, 4], [1, 2], [2, 2]], rtol=1e-6)


def test_statistics_are_written_again_when_the_count_has_grown_by_a_hundredth():
    run = Run("a3c", Uneven(), normalize=True)
    written = []
    for _ in range(400):
        before = run.shared.theta[:9].copy()
        run.play()
        if not np.array_equal(before, run.shared.theta[:9]):
            written.append(len(run.envs[0].observations))
            assert (run.shared.theta[6:9] == written[-1]).all()
    growth = np.divide(written[1:], written[:-1])
    assert len(written) < 250 and (growth[np.array(written[1:]) > 500] >= 1.01).all() and growth[-20:].max() < 1.02


def test_before_the_first_observation_nothing_is_written():
    theta = np.array([0, 0, 1, 1, 0, 0], FLOAT)
    moments = new_moments(2, 2)
    write_statistics(theta, moments.sums, moments.shift)
    np.testing.assert_array_equal(theta, [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize("part", [slice(0, 1), slice(2, 5), slice(5, 8), slice(3, 7)])
def test_a_row_that_is_read_while_it_is_written_is_off_by_one_observation_at_most(part):
    draws = np.random.default_rng(3).normal([2e3, 0.0, -5.0], [1.0, 3.0, 0.0], (400, 3)).astype(FLOAT)
    whole, before = (measured(draws[:n], 3)[3] for n in (400, 399))
    before.sums[0, part] = whole.sums[0, part]  # what another worker sees in between
    theta = np.zeros(9, FLOAT)
    write_statistics(theta, before.sums, before.shift)
    mean, deviation, _ = theta.reshape(3, 3)
    np.testing.assert_allclose((mean - draws.mean(axis=0)) / [1.0, 3.0, 1.0], 0.0, atol=4 * 4 / 400)
    np.testing.assert_allclose(deviation[:2], [1.0, 3.0], rtol=0.15)
    assert deviation[2] == pytest.approx(1e-4)


def test_a_run_that_begins_with_statistics_goes_on_from_them():
    draws = np.random.default_rng(4).normal([2e3, 0.0], [1.0, 3.0], (300, 2)).astype(FLOAT)
    theta = np.ravel(measured(draws[:200], 2)[:3]).astype(FLOAT)
    mean, deviation, counts, _ = measured(draws[200:], 2, theta, rows=2)
    np.testing.assert_allclose(mean, draws.mean(axis=0), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(deviation, draws.std(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(counts, 300)


def test_each_worker_counts_in_cache_lines_of_its_own():
    for n in (1, 7, 8, 17):
        sums = new_moments(3, n).sums
        assert sums.shape[0] == 4 and sums.shape[1] >= 2 + 2 * n
        assert sums.ctypes.data % 128 == 0 and sums.strides[0] % 128 == 0
