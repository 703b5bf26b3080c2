"""What an agent knows of an environment: random actions, and which ends end an episode."""

import numpy as np
import pytest

from numasync.envs import make_env
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, episode_over, map_action
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row


def test_random_actions():
    rng, spec = seed_row(1), make_env("Acrobot-v1").spec
    drawn = [spec.random_action(rng) for _ in range(3000)]
    assert {type(action) for action in drawn} == {int}
    assert np.abs(np.bincount(drawn, minlength=3) - 1000).max() < 5 * np.sqrt(1000 * 2 / 3)
    bounded = spec._replace(n_actions=3, bounds=((-2.0, -np.inf, 0.5), (4.0, np.inf, 0.5)))
    drawn = np.array([bounded.random_action(rng) for _ in range(3000)])
    assert drawn.dtype == FLOAT and drawn.shape == (3000, 3)
    np.testing.assert_allclose(drawn.min(0), [-2, -1, 0.5], atol=0.02)
    np.testing.assert_allclose(drawn.max(0), [4, 1, 0.5], atol=0.02)
    assert np.abs(drawn.mean(0) - [1, 0, 0.5]).max() < 5 * np.sqrt(3 / 3000)
    half = spec._replace(n_actions=4, bounds=((5.0, -np.inf, -3.0, -np.inf), (np.inf, -4.0, np.inf, 2.0)))
    np.testing.assert_array_equal(half.finite_bounds, [[5, -5, -3, -1], [6, -4, 1, 2]])


def test_random_actions_of_several_integers():
    rng, spec = seed_row(1), make_env("Acrobot-v1").spec._replace(n_actions=3, nvec=(2, 1, 4))
    drawn = np.array([spec.random_action(rng) for _ in range(3000)])
    assert drawn.dtype == np.int64 and drawn.shape == (3000, 3)
    for j, n in enumerate(spec.nvec):
        counts = np.bincount(drawn[:, j], minlength=n)
        assert np.abs(counts - 3000 / n).max() <= 5 * np.sqrt(3000 / n * (1 - 1 / n))


def mapped(low, high, u, **changes):
    """The action that an environment with one number between two bounds gets for u."""
    spec = make_env("Pendulum-v1").spec._replace(bounds=((low,), (high,)), **changes)
    action = np.array([u], FLOAT)
    map_action(action, action, spec.action_map)
    return action[0]


@pytest.mark.parametrize(("low", "high"), [(-0.4, 0.4), (-0.1, 0.1), (0, 2000), (-10, 10), (-3e38, 3e38), (7, 7)])
def test_finite_bounds_are_mapped_from_minus_one_and_one(low, high):
    middle, tolerance = (low + high) / 2, 1e-6 * (high - low)
    expected = {0: middle, 0.5: middle + (high - low) / 4, 1: high, 1.5: high, 1e30: high, -1: low, -9: low}
    for u, action in expected.items():
        assert mapped(low, high, u) == pytest.approx(action, abs=tolerance)
        assert low <= np.float64(mapped(low, high, u)) <= high


@pytest.mark.parametrize(("low", "high"), [(-np.inf, np.inf), (-2, np.inf), (-np.inf, 2), (-1e300, 1e300)])
def test_infinite_bounds_map_nothing(low, high):
    for u in (-3, -0.25, 0, 1.75, 3):
        assert mapped(low, high, u) == min(max(u, low), high)


def test_actions_that_are_not_normalised_are_only_clipped():
    assert [mapped(-5, 4, u, normalized_actions=False) for u in (-9, -1, 0, 3, 9)] == [-5, -1, 0, 3, 4]


def test_an_action_that_is_not_a_number_stays_so():
    assert np.isnan(mapped(-5, 4, np.nan))


@pytest.mark.parametrize(("end", "over"), [(RUNNING, False), (TERMINATED, True), (TRUNCATED, True), (LIFE_LOST, False)])
def test_a_lost_life_does_not_end_an_episode(end, over):
    assert episode_over(end) == over
