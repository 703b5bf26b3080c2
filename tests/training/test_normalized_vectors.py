"""Runs that normalise vectors: what they count, what their agents keep, and that they learn."""

import json

import numpy as np
import pytest
from support.scripted import ID, LAYERS, SPEC, Scripted, register
from support.stops import check_equal, look_often, stop_at, train_in_pieces

import numasync
from numasync import TERMINATED, InputError, choice, dense, lstm, normal, relu
from numasync.agent.agent import Agent
from numasync.agent.network import build_network
from numasync.config import make_config
from numasync.envs import REGISTERED
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.learner.moments import write_statistics
from numasync.nn import reference
from numasync.runtime.jit import DISABLED
from numasync.training import run as run_module
from numasync.training.state import read_state
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer

NORMALIZED = SPEC._replace(observation=numasync.envs.spec.Observation("vector", (2,), normalized=True))
STEPS = 600 if DISABLED else 3_000
RUN = dict(env="CartPole-v1", algo="a3c", workers=3, steps=STEPS, seed=6, network=LAYERS, deterministic=True)
RUN |= dict(normalize=True, final_eval_episodes=2, checkpoint_every=STEPS // 10)


def statistics(agent):
    """Return mean, deviation and counts of an agent."""
    views = agent.network.views(agent.theta)
    return (*views["normalize.moments"], views["normalize.counts"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An agent, and the folder of its run."""
    folder = tmp_path_factory.mktemp("normalized") / "run"
    options = dict(eval_every=STEPS // 3, periodic_eval_episodes=2)
    return numasync.train(out=folder, **RUN, **options), folder


# --- What is counted


@pytest.mark.parametrize("options", [dict(deterministic=True), dict(), dict(workers=5)], ids=str)
def test_the_observations_of_all_threads_are_counted(monkeypatch, options):
    given = []

    def script(number, n):
        given.append(np.sin(number + 1.7 * n))
        return given[-1], 1.0

    class Counting(Scripted):
        def reset(self, **named):
            given.append(0.0)
            return super().reset(**named)

    monkeypatch.setattr("support.scripted.Scripted", Counting)
    register(script, monkeypatch)
    config = make_config("classic", env=ID, network=LAYERS, **{"workers": 3, "steps": 4000, **options})
    run = Trainer(config, NORMALIZED, build_network(config, NORMALIZED))
    Supervisor(run).run()
    assert run.shared.moments.sums[:, 0].sum() == len(given) == run.steps + run.episodes + config.workers
    exact = run.theta.copy()
    write_statistics(exact, run.shared.moments.sums, run.shared.moments.shift)
    expected = np.repeat([[np.mean(given)], [np.std(given)], [len(given)]], 2, axis=1)
    np.testing.assert_allclose(exact[:6].reshape(3, 2), expected, rtol=1e-6, atol=1e-6)
    # The parameters may not know the last few observations.
    np.testing.assert_allclose(run.theta[:6].reshape(3, 2), expected, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("algo, network", [("a3c", LAYERS), ("nstep_q", (*LAYERS, lstm(3))), ("one_step_q", LAYERS)])
def test_a_deterministic_run_goes_on_bit_for_bit(monkeypatch, tmp_path, algo, network):
    look_often(monkeypatch)
    options = {**RUN, "algo": algo, "network": network, "target_interval": 50, "eval_every": STEPS // 3}
    numasync.train(out=tmp_path / "whole", **options)
    stop_at(monkeypatch, STEPS // 4, STEPS // 2)
    agent, times = train_in_pieces(tmp_path / "pieces", **options)
    assert times == 2
    check_equal(tmp_path / "whole", tmp_path / "pieces")
    whole, pieces = (read_state(tmp_path / name / "training.npz")[1].arrays for name in ("whole", "pieces"))
    for name in ("moments", "shift"):
        np.testing.assert_array_equal(whole[name], pieces[name])
    counted = whole["moments"][:, 0].sum()
    assert counted == agent.result["steps"] + agent.result["episodes"] + 3
    assert (statistics(agent)[2] > 0.97 * counted).all()


@pytest.mark.filterwarnings("ignore:The episodes of Scripted-v0")
def test_a_run_whose_episodes_begin_anew_counts_their_first_observations(monkeypatch, tmp_path):
    register(lambda number, n: (np.sin(n), 1.0), monkeypatch)
    look_often(monkeypatch)
    stop_at(monkeypatch, 200)
    agent, times = train_in_pieces(tmp_path / "run", **{**RUN, "env": ID, "steps": 400})
    assert times == 1
    counted = read_state(tmp_path / "run" / "training.npz")[1].arrays["moments"][:, 0].sum()
    assert counted == agent.result["steps"] + agent.result["episodes"] + 2 * 3


# --- What an agent keeps


def test_predict_normalizes_the_observation(trained):
    agent, _ = trained
    mean, deviation, counts = statistics(agent)
    assert counts[0] > STEPS and (deviation < 3).all() and deviation.std() > 0.1
    plain = Agent(agent.config, CARTPOLE.spec, agent.theta[12:].copy())
    observations = np.random.default_rng(2).normal(mean, deviation, (50, 4)).astype(np.float32)
    normalized = (observations - mean) / deviation
    actions = [agent.predict(obs) for obs in observations]
    assert actions == [plain.predict(obs) for obs in normalized] and set(actions) == {0, 1}
    assert actions != [plain.predict(obs) for obs in observations]
    outputs = reference.network_forward(observations, agent.theta, agent.network)[-1]
    assert actions == outputs[:, :2].argmax(axis=1).tolist()


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_agent_keeps_its_statistics_as_they_are(trained, tmp_path, half):
    agent, folder = trained
    agent.theta[0] += 1e5  # which no float16 can hold
    try:
        agent.save(tmp_path / "agent.npz", half)
        copy = numasync.load(tmp_path / "agent.npz")
        np.testing.assert_array_equal(copy.theta, agent.theta)
    finally:
        agent.theta[0] -= 1e5
    assert copy.spec == agent.spec and copy.spec.observation.normalized
    assert numasync.load(folder / "checkpoint.npz").evaluate(2) == agent.result["evaluation"] == agent.evaluate(2)


def test_the_best_agent_has_the_statistics_of_its_evaluation(trained):
    _, folder = trained
    best = numasync.load(folder / "best.npz")
    begun = best.result["steps"]
    assert 0.97 * begun <= statistics(best)[2][0] <= begun + begun / 5 + 3


def test_an_evaluation_that_had_begun_goes_on_with_its_own_statistics(monkeypatch, tmp_path):
    look_often(monkeypatch)
    seen, play = [], run_module.play_episodes

    def slow(*arguments):
        seen.append(arguments[2].copy())
        assert arguments[-1].wait(30)  # until the run is stopped
        return play(*arguments)

    monkeypatch.setattr(run_module, "play_episodes", slow)
    stop_at(monkeypatch, STEPS // 2)
    numasync.train(out=tmp_path / "run", **RUN, eval_every=STEPS // 3)
    _, state = read_state(tmp_path / "run" / "training.npz")
    np.testing.assert_array_equal(state.arrays["pending_theta"], seen[0])
    assert 0.97 * STEPS // 3 <= seen[0][8] < state.arrays["theta"][0][8]


def test_an_agent_of_an_earlier_version_does_not_normalize_vectors(tmp_path):
    config = make_config("classic", network=LAYERS, normalize=True)
    agent = Agent(config, CARTPOLE.spec)
    agent.save(tmp_path / "agent.npz")
    with np.load(tmp_path / "agent.npz") as file:
        description, theta = json.loads(str(file["description"])), file["theta"]
    assert description["spec"]["observation"].pop("normalized") is False
    np.savez(tmp_path / "agent.npz", description=np.array(json.dumps(description)), theta=theta)
    old = numasync.load(tmp_path / "agent.npz")
    assert old.config.normalize and old.network.names == agent.network.names and "normalize" not in old.network.names
    np.testing.assert_array_equal(old.theta, agent.theta)


# --- A run that begins with an agent


def test_a_run_from_an_agent_begins_with_its_statistics(trained):
    agent, _ = trained
    again = numasync.train(from_agent=agent, **{**RUN, "steps": 1, "lr": 1e-30, "seed": 9})
    _, _, before = statistics(agent)
    added = again.result["steps"] + again.result["episodes"] + 3
    assert (before < statistics(again)[2]).all() and (statistics(again)[2] <= before + added).all()
    np.testing.assert_allclose(again.theta[:8], agent.theta[:8], rtol=0.02, atol=0.01)
    assert not np.array_equal(again.theta[:12], agent.theta[:12])
    np.testing.assert_array_equal(again.theta[12:], agent.theta[12:])


@pytest.mark.parametrize(
    "normalize, words", [(False, "with normalize.*--normalize"), (True, "without.*--no-normalize")]
)
def test_an_agent_of_other_inputs_is_refused(trained, normalize, words):
    given = trained[0] if not normalize else Agent(make_config("classic", algo="a3c", network=LAYERS), CARTPOLE.spec)
    with pytest.raises(InputError, match=f"^The agent to begin with was trained {words}"):
        numasync.train(from_agent=given, **{**RUN, "normalize": normalize})


# --- Learning


def reset(state, rng, obs):
    state[0] = choice(rng, 2)
    obs[0], obs[1] = 500.0 + 0.01 * (2 * state[0] - 1), 100.0 * normal(rng)


def step(state, action, rng, obs):
    reward = 1.0 if action == state[0] else -1.0
    state[0] = choice(rng, 2)
    obs[0], obs[1] = 500.0 + 0.01 * (2 * state[0] - 1), 100.0 * normal(rng)
    return reward, TERMINATED


@pytest.mark.skipif(DISABLED, reason="learning takes compiled kernels")
@pytest.mark.parametrize("algo", ["a3c", "nstep_q"])
def test_numbers_of_different_scales_are_learned_from(algo):
    # One number of 500 says by 0.01 which action is right. The other one is noise, ten thousand times as large.
    numasync.register("Whisper-v0", reset, step, (2,), 2, 1)
    try:
        options = dict(network=(dense(16), relu()), workers=2, steps=20_000, epsilon_steps=5_000, deterministic=True)
        scores = [
            numasync.train("Whisper-v0", algo, normalize=on, final_eval_episodes=400, **options).result["evaluation"]
            for on in (True, False)
        ]
    finally:
        del REGISTERED["Whisper-v0"]
    assert scores[0]["mean"] > 0.9 and scores[1]["mean"] < 0.3
