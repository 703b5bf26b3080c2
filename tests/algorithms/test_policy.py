"""Frequencies of the chosen actions against their probabilities, and log-softmax against its reference."""

import numpy as np
import pytest
from support.numerics import assert_close

from numasync.algorithms.policy import (
    EPSILON_GREEDY,
    GAUSSIAN,
    MEAN,
    SMALLEST_VARIANCE,
    SOFTMAX,
    choose,
    choose_into,
    epsilon_greedy,
    hold_means,
    log_softmax,
    sample_softmax,
    variance,
)
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.nn import reference
from numasync.runtime.rng import seed_row

N = 5000
SIGMAS = 5
EXTREME = [(1e4, 0, -1e4), (-1e4, -1e4, -1e4), (1e4, 1e4, 1e4), (0, 100, 100), (-1e4, 1e4, 5)]


def row(values):
    return np.array(values, np.float32)


def assert_frequencies(draw, probabilities):
    """N draws of an action: each count within five standard deviations of its expectation (exact where p is 0 or 1)."""
    p = np.asarray(probabilities, np.float64)
    counts = np.bincount([draw() for _ in range(N)], minlength=p.size)
    assert counts.size == p.size
    assert np.all(np.abs(counts - N * p) <= SIGMAS * np.sqrt(N * p * (1 - p)) + 1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy_frequencies(epsilon):
    q, rng = row([0.1, -2, 3, 0.5]), seed_row(1)
    expected = np.full(4, epsilon / 4)
    expected[2] += 1 - epsilon
    np.testing.assert_allclose(reference.epsilon_greedy(q.astype(np.float64), epsilon), expected)
    assert_frequencies(lambda: epsilon_greedy(q, epsilon, rng), expected)


@pytest.mark.parametrize("q, first", [((1, 5, 5, 5), 1), ((0, 0, 0, 0), 0), ((-1, -2, -1, -1), 0)])
def test_greedy_takes_the_first_of_equals(q, first):
    assert epsilon_greedy(row(q), 0.0, seed_row(1)) == first


@pytest.mark.parametrize("logits", [(0, 0, 0), (1, 2, 3), (-1, 0.5, 0.2, -3, 2), (7,), (2, -1), *EXTREME])
def test_softmax_frequencies(logits):
    logits, rng = row(logits), seed_row(2)
    assert_frequencies(lambda: sample_softmax(logits, rng), reference.softmax(logits.astype(np.float64)))


def test_choose():
    scores, rng = row([1, 2, 0]), seed_row(3)
    assert_frequencies(lambda: choose(scores, EPSILON_GREEDY, 0.3, rng), [0.1, 0.8, 0.1])
    softmax = np.exp(scores.astype(np.float64)) / np.exp(scores.astype(np.float64)).sum()
    for epsilon in (0.0, 1.0):  # which a softmax policy ignores
        assert_frequencies(lambda: choose(scores, SOFTMAX, epsilon, rng), softmax)


def test_counted_actions_are_written_where_they_belong():
    actions, scores = np.full(3, 7), row([1, 2, 0, 9, 9])
    choose_into(actions, scores, 1, CARTPOLE.spec.action_map, EPSILON_GREEDY, 3, 0.0, seed_row(3))
    np.testing.assert_array_equal(actions, [7, 1, 7])


def test_continuous_actions():
    actions, rng = np.full((3, 2), 7, np.float32), seed_row(4)
    x = np.log(np.exp(4.0) - 1)
    outputs = row([-1, 3, x, 100])
    action_map = PENDULUM.spec.action_map
    choose_into(actions, outputs, 1, action_map, MEAN, 2, 0.0, rng)
    np.testing.assert_array_equal(actions, [[7, 7], [-1, 3], [7, 7]])

    def draw():
        choose_into(actions, outputs, 1, action_map, GAUSSIAN, 2, 0.0, rng)
        return actions[1].astype(np.float64)

    drawn = np.array([draw() for _ in range(N)])
    assert np.abs(drawn.mean(0) - [-1, 3]).max() < SIGMAS * 2 / np.sqrt(N)
    # The variance of the variance of a Gaussian is 2 sigma^4 / N.
    assert np.abs(drawn.var(0) - 4).max() < SIGMAS * 4 * np.sqrt(2 / N)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < SIGMAS / np.sqrt(N)


def test_each_of_several_integers_is_drawn_from_its_own_scores():
    actions, rng, spec = np.full((3, 2), 7), seed_row(5), CARTPOLE.spec._replace(n_actions=2, nvec=(2, 3))
    outputs = row([1, -1, 0, 2, 1, 100])  # the last one is a value
    choose_into(actions, outputs, 1, spec.action_map, EPSILON_GREEDY, 2, 0.0, rng)
    np.testing.assert_array_equal(actions, [[7, 7], [0, 1], [7, 7]])

    def draw():
        choose_into(actions, outputs, 1, spec.action_map, SOFTMAX, 2, 0.0, rng)
        return 3 * actions[1, 0] + actions[1, 1]

    first, second = (reference.softmax(scores.astype(np.float64)) for scores in (outputs[:2], outputs[2:5]))
    assert_frequencies(draw, np.outer(first, second).ravel())


def held(means, gradient, bounds):
    """The gradient of one step with these means in an environment with these bounds. The last output is a value."""
    d_outputs, outputs = row([*gradient, 3])[None], row([*means, -50])[None]
    spec = PENDULUM.spec._replace(n_actions=len(means), bounds=bounds)
    hold_means(d_outputs, outputs, spec.new_actions(1), spec.action_map, 1)
    assert d_outputs[0, -1] == 3
    return d_outputs[0, :-1].tolist()


def test_the_gradient_pushes_no_mean_further_beyond_its_bounds():
    # A negative gradient makes a mean rise.
    bounds = ((0,) * 6, (2000,) * 6)
    means, gradient = [1.1, 1.1, -1.1, -1.1, 0.9, -0.9], [-2, 2, 2, -2, -2, 2]
    assert held(means, gradient, bounds) == [0, 2, 0, -2, -2, 2]


def test_the_gradient_of_a_mean_without_bounds_stays():
    means, gradient = [1e6, -1e6, 1e6, -6], [-2, 2, -2, 2]
    assert held(means, gradient, ((-np.inf, -np.inf, -5, -5), (np.inf,) * 4)) == [-2, 2, -2, 0]


def test_a_gradient_that_is_not_a_number_stays_so():
    assert np.isnan(held([9, -9], [np.nan, np.nan], ((-1, -1), (1, 1)))).all()


@pytest.mark.parametrize("spec", [CARTPOLE.spec, CARTPOLE.spec._replace(n_actions=2, nvec=(1, 1))])
def test_the_gradient_of_integers_stays(spec):
    d_outputs = row([-2, 2])[None]
    hold_means(d_outputs, row([9, -9])[None], spec.new_actions(1), spec.action_map, 1)
    assert d_outputs.tolist() == [[-2, 2]]


@pytest.mark.parametrize("x", [-200.0, -3.0, 0.0, 2.0, 50.0, 1e4])
def test_variance_is_softplus(x):
    np.testing.assert_allclose(variance(np.float32(x)), np.logaddexp(0, x) + SMALLEST_VARIANCE, rtol=1e-6)
    np.testing.assert_allclose(variance(np.float64(x)), reference.gaussian_variance(np.float64(x)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logits", [(1, 2, 3), (0.3,), (-5, 0.1, 4, 4, 2, 80), *EXTREME])
def test_log_softmax(logits, dtype):
    logits = np.array(logits, dtype)
    out = np.full_like(logits, np.nan)
    log_softmax(out, logits)
    assert np.isfinite(out).all()
    assert_close(out, reference.log_softmax(logits.astype(np.float64)))
    assert np.exp(out).sum() == pytest.approx(1, rel=1e-5)
