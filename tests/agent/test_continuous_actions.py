"""Agents of continuous actions: actions within their bounds and in the environment's units, and their files."""

import numpy as np
import pytest

import numasync
from numasync import dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs.jitted.pendulum import PENDULUM

LAYERS = (dense(16), relu())


def test_predict_gives_continuous_actions_within_their_bounds():
    agent = Agent(make_config("continuous", algo="a3c", network=LAYERS, separate_value=False), PENDULUM.spec)
    view = agent.network.views(agent.theta)
    obs = np.array([0.5, -0.5, 3], np.float32)
    for mean, expected in ((0.25, 0.5), (9, 2), (-9, -2)):
        agent.theta[:] = 0
        view["heads.bias"][:] = mean, -200, 0
        action = agent.predict(obs)
        np.testing.assert_allclose(action, [expected])
        assert action.dtype == np.float32 and not np.shares_memory(action, agent.predict(obs))
    view["heads.bias"][:] = 0, -3, 0
    sampled = np.array([agent.predict(obs, greedy=False) for _ in range(1000)])
    assert sampled.min() >= -2 and sampled.max() <= 2
    assert np.std(sampled) == pytest.approx(2 * np.sqrt(np.log1p(np.exp(-3))), rel=0.1), "half the range is 2"


def test_predict_gives_actions_in_the_units_of_the_environment():
    bounds = ((0.0, -0.1, -np.inf, 5.0), (2000.0, 0.1, np.inf, np.inf))
    spec = PENDULUM.spec._replace(n_actions=4, bounds=bounds)
    agent = Agent(make_config("continuous", algo="a3c", network=LAYERS, separate_value=False), spec)
    agent.theta[:] = 0
    mapped = {0: [1000, 0, 0, 5], 0.5: [1500, 0.05, 0.5, 5], 9: [2000, 0.1, 9, 9], -9: [0, -0.1, -9, 5]}
    for u, expected in mapped.items():
        agent.network.views(agent.theta)["heads.bias"][:4] = u
        action = agent.predict(np.zeros(3))
        np.testing.assert_allclose(action, expected, rtol=1e-6)
        assert (action >= bounds[0]).all() and (action <= bounds[1]).all(), "in float64 too"


def test_an_agent_without_normalised_actions_has_its_policy_in_the_units_of_the_environment(tmp_path):
    spec = PENDULUM.spec._replace(normalized_actions=False)
    agent = Agent(make_config("continuous", algo="a3c", network=LAYERS), spec)
    agent.save(tmp_path / "agent.npz")
    loaded = numasync.load(tmp_path / "agent.npz")
    assert loaded.spec == agent.spec != PENDULUM.spec
    normalised = Agent(agent.config, PENDULUM.spec, agent.theta)
    assert 2 * loaded.predict(np.ones(3)) == pytest.approx(normalised.predict(np.ones(3)))
    assert loaded.evaluate(3) == agent.evaluate(3) != normalised.evaluate(3)


def test_a_continuous_agent_is_saved_and_loaded(tmp_path):
    agent = Agent(make_config("continuous", algo="a3c", network=(lstm(4),), separate_value=True), PENDULUM.spec)
    agent.save(tmp_path / "agent.npz")
    loaded = numasync.load(tmp_path / "agent.npz")
    assert (loaded.spec, loaded.config) == (agent.spec, agent.config)
    assert loaded.evaluate(2) == agent.evaluate(2)
