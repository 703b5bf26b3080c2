"""Agents learn: seconds on Catch for every algorithm; the presets, which take minutes, under `pytest -m slow`."""

import pytest

import numasync
from numasync.algorithms import ALGORITHMS
from numasync.envs import REGISTERED
from numasync.runtime.jit import DISABLED

pytestmark = pytest.mark.skipif(DISABLED, reason="learning takes compiled kernels")

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


@every_algorithm
def test_catch_in_seconds(algo):
    # Workers in turns, so that the run repeats; a random player scores about -0.6.
    lr = 5e-3 if algo == "a3c" else 2e-3
    options = dict(lr=lr, beta=0.05, rms_eps=0.01, epsilon_steps=10_000, target_interval=500, gamma=0.99, t_max=5)
    agent = numasync.train(
        "Catch-v0",
        algo,
        seed=1,
        workers=4,
        deterministic=True,
        network="mlp",
        steps=30_000,
        final_eval_episodes=1,
        **options,
    )
    assert agent.evaluate(episodes=100, seed=7)["mean"] > 0.6


@every_algorithm
def test_threads_learn_catch(algo):
    lr = 5e-3 if algo == "a3c" else 2e-3
    options = dict(lr=lr, beta=0.05, rms_eps=0.01, epsilon_steps=20_000, target_interval=500, gamma=0.99, t_max=5)
    agent = numasync.train("Catch-v0", algo, workers=4, network="mlp", steps=60_000, final_eval_episodes=1, **options)
    assert agent.evaluate(episodes=100, seed=7)["mean"] > 0.4


def test_an_untrained_agent_scores_like_a_random_player():
    # What the thresholds above are measured against; also that evaluation does not flatter.
    agent = numasync.train(
        "Catch-v0", "a3c", steps=1, workers=1, network="mlp", final_eval_episodes=1, eval_greedy=False
    )
    assert agent.evaluate(episodes=500)["mean"] == pytest.approx(-0.6, abs=0.15)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(-0.4, 0.4, marks=pytest.mark.slow),
        (-0.1, 0.1),
        (0, 2000),
        pytest.param(-10, 10, marks=pytest.mark.slow),
    ],
)
def test_the_continuous_preset_learns_in_every_range(low, high):
    # A game of one step. The best action lies half way between the middle and the upper bound. Its reward is 10.
    best, half_range = low + 0.75 * (high - low), (high - low) / 2

    def reset(state, rng, obs):
        obs[0] = 1.0

    def step(state, action, rng, obs):
        obs[0] = 1.0
        return 10 - 16 * ((action[0] - best) / half_range) ** 2, numasync.TERMINATED

    numasync.register("Range-v0", reset, step, (1,), 1, 0, bounds=(low, high))
    try:
        agent = numasync.train("Range-v0", "a3c", seed=21, steps=50_000, deterministic=True, final_eval_episodes=1)
        assert agent.result["evaluation"]["mean"] > 9.9
        assert agent.predict([1.0])[0] == pytest.approx(best, abs=0.1 * half_range)
    finally:
        del REGISTERED["Range-v0"]


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "score"), [("CartPole-v1", 475), ("Catch-v0", 0.95)])
@every_algorithm
def test_presets_solve(algo, env_id, score):
    assert numasync.train(env_id, algo).result["evaluation"]["mean"] >= score


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "score"), [("MinAtar/Breakout-v1", 8), ("MinAtar/SpaceInvaders-v1", 30)])
def test_the_minatar_preset_learns(env_id, score):
    assert numasync.train(env_id, "a3c", steps=2_000_000).result["training"]["mean"] >= score


@pytest.mark.slow
def test_the_continuous_preset_learns_pendulum():
    # A run that does not learn to swing up ends near -800 or -1,200 (docs/reports/environments.md).
    assert numasync.train("Pendulum-v1", "a3c").result["evaluation"]["mean"] >= -250


@pytest.mark.slow
@pytest.mark.parametrize(("network", "solves"), [("mlp_lstm", True), ("mlp", False)])
def test_recall_takes_a_memory(network, solves):
    result = numasync.train("Recall-v0", "a3c", network=network, steps=300_000).result
    assert (result["evaluation"]["mean"] > 0.9) == solves


@pytest.mark.slow
@pytest.mark.parametrize(("network", "solves"), [("mlp_lstm", True), ("mlp", False)])
def test_cartpole_without_velocities_takes_a_memory(network, solves):
    options = dict(network=network, separate_value=True, lr=3e-3, rms_eps=1e-3, steps=2_000_000)
    result = numasync.train("CartPolePositions-v0", "a3c", **options).result
    assert (result["evaluation"]["mean"] > 475) == solves
