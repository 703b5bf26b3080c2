"""Checkpoints of version 0.2.0.dev0 at commit cffd30c, one for each kind of network and algorithm, still load.

expected.json holds what each agent predicted and scored when it was saved.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import numasync
from numasync import Config, dense, heads, network
from numasync.agent.agent import pretrained
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.runtime.jit import DISABLED

FOLDER = Path(__file__).parent / "checkpoints"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PREDICTIONS = 12

every_checkpoint = pytest.mark.parametrize("name", EXPECTED)


def load(name):
    """Load a checkpoint; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return numasync.load(FOLDER / f"{name}.npz")


def draw_observations(spec):
    """Draw the observations that the expected actions belong to."""
    draws, shape = np.random.default_rng(1), spec.observation.shape
    if spec.observation.kind == "discrete":
        return [int(draws.integers(shape[0])) for _ in range(PREDICTIONS)]
    return [draws.standard_normal(shape).astype(np.float32) for _ in range(PREDICTIONS)]


def test_there_is_a_file_for_every_expectation():
    assert sorted(path.stem for path in FOLDER.glob("*.npz")) == sorted(EXPECTED) and len(EXPECTED) == 9


@every_checkpoint
def test_an_old_agent_predicts_the_same_actions(name):
    agent = load(name)
    actions = [agent.predict(obs) for obs in draw_observations(agent.spec)]
    if agent.spec.continuous:
        np.testing.assert_allclose(actions, EXPECTED[name]["actions"], rtol=0, atol=1e-5)
    else:
        assert actions == EXPECTED[name]["actions"]


@pytest.mark.skipif(DISABLED, reason="whole episodes take compiled kernels")
@every_checkpoint
def test_an_old_agent_gets_the_same_scores(name):
    assert load(name).evaluate(3, seed=9) == pytest.approx(EXPECTED[name]["evaluation"], rel=1e-5)


def test_an_old_agent_acts_in_the_units_of_its_environment():
    assert load("a3c-continuous_towers").spec.normalized_actions is False


def test_options_with_old_names_are_renamed():
    config = load("nstep_q-renamed_options").config
    assert (config.rms_decay, config.terminal_on_life_loss) == (0.9, True)
    assert (config.final_eval_episodes, config.eval_every, config.periodic_eval_episodes) == (7, 100, 3)


def test_an_old_agent_whose_hidden_layers_had_heads_still_loads(tmp_path):
    """They are refused for a new agent, because the heads that the algorithm needs are added."""
    config = Config(network=(dense(8), heads(2, 1)))
    size = network((4,), *config.network, heads(2)).n_parameters
    agent = numasync.Agent(config, CARTPOLE.spec, np.zeros(size, np.float32))
    agent.save(tmp_path / "agent.npz")
    assert numasync.load(tmp_path / "agent.npz").config == config


@pytest.mark.parametrize("name", ["pong-a3c", "pong-nstep_q", "pong-one_step_q", "pong-one_step_sarsa"])
def test_the_pretrained_agents_load_without_a_warning(name):
    assert name in pretrained()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent = numasync.load(name)
    assert np.isfinite(agent.theta).all() and agent.config.terminal_on_life_loss is False
