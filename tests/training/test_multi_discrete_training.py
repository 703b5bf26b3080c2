"""Runs with actions of several integers: what they learn, that they repeat, and that they go on."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.stops import check_equal, look_often, stop_at, train_in_pieces

import numasync
from numasync import dense, lstm, relu
from numasync.envs import REGISTERED
from numasync.runtime.jit import DISABLED

SMALL, MEMORY = (dense(16), relu()), (dense(16), relu(), lstm(8))
STEPS = 300 if DISABLED else 3_000
LENGTH = 10


class Targets(gymnasium.Env):
    """Each observation names a target for each integer of the action. The reward counts the integers that are right."""

    def __init__(self, action_space: spaces.Space, nvec: list[int], start: list[int]) -> None:
        self.action_space, self.start = action_space, np.array(start)
        self.observation_space = spaces.MultiDiscrete(nvec)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._draw(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = int((action.reshape(-1) - self.start == self.targets).sum())
        self.steps += 1
        return self._draw(), reward, False, self.steps == LENGTH, {}

    def _draw(self):
        self.targets = self.np_random.integers(self.observation_space.nvec)
        return self.targets


TARGETS = {
    "MultiDiscrete": (spaces.MultiDiscrete([4, 3], start=[5, -1]), [4, 3], [5, -1]),
    "MultiBinary": (spaces.MultiBinary((2, 2)), [2, 2, 2, 2], [0, 0, 0, 0]),
}


@pytest.fixture(params=TARGETS)
def targets(request):
    """The id of an environment, and the highest score of an episode."""
    gymnasium.register("Targets-v0", entry_point=lambda **_: Targets(*TARGETS[request.param]))
    yield "Targets-v0", LENGTH * len(TARGETS[request.param][1])
    del gymnasium.registry["Targets-v0"]


@pytest.mark.compiled
def test_a3c_learns_independent_targets(targets):
    env_id, highest = targets
    options = dict(steps=10_000, lr=0.01, gamma=0.5, t_max=5, seed=1, deterministic=True, final_eval_episodes=20)
    agent = numasync.train(env_id, "a3c", network=SMALL, **options)
    assert agent.result["evaluation"]["mean"] > 0.95 * highest, "random actions score 6 of 20, and 20 of 40"


def reset(state, rng, obs):
    state[0], state[1] = numasync.choice(rng, 3), numasync.choice(rng, 2)
    state[2] = 0
    obs[:] = state


def step(state, action, rng, obs):
    reward = (1.0 if action[0] == state[0] else 0.0) + (1.0 if action[1] == state[1] else 0.0)
    count = state[2] + 1
    state[0], state[1] = numasync.choice(rng, 3), numasync.choice(rng, 2)
    state[2] = count
    obs[:] = state
    return reward, numasync.TRUNCATED if count == LENGTH else numasync.RUNNING


@pytest.fixture
def pairs():
    """The id of a jitted environment, registered with two integers."""
    numasync.register("Pairs-v0", reset, step, (3,), (3, 2), 3)
    yield "Pairs-v0"
    del REGISTERED["Pairs-v0"]


@pytest.mark.parametrize("network", [SMALL, MEMORY], ids=["feedforward", "lstm"])
def test_a_deterministic_run_repeats_and_goes_on_bit_for_bit(pairs, network, monkeypatch, tmp_path):
    look_often(monkeypatch)
    options = dict(
        env=pairs,
        algo="a3c",
        workers=3,
        steps=STEPS,
        seed=3,
        network=network,
        deterministic=True,
        checkpoint_every=STEPS // 20,
        eval_every=STEPS // 3,
        periodic_eval_episodes=2,
        final_eval_episodes=2,
    )
    whole = numasync.train(out=tmp_path / "whole", **options)
    np.testing.assert_array_equal(numasync.train(**options).theta, whole.theta)
    stop_at(monkeypatch, STEPS // 5, STEPS // 2)
    _, times = train_in_pieces(tmp_path / "pieces", **options)
    assert times == 2
    check_equal(tmp_path / "whole", tmp_path / "pieces")


def test_a_run_with_threads_plays_and_ends(pairs):
    result = numasync.train(pairs, "a3c", workers=2, steps=STEPS, network=SMALL, final_eval_episodes=2).result
    assert result["steps"] >= STEPS and 0 <= result["evaluation"]["mean"] <= 2 * LENGTH
