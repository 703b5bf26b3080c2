"""What an agent knows of an environment: random actions, and which ends end an episode."""

import numpy as np
import pytest

from numasync.envs import make_env
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, episode_over
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


@pytest.mark.parametrize(("end", "over"), [(RUNNING, False), (TERMINATED, True), (TRUNCATED, True), (LIFE_LOST, False)])
def test_a_lost_life_does_not_end_an_episode(end, over):
    assert episode_over(end) == over
