"""The Python interface: train, predict, evaluate, save and load."""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import numasync
from numasync import InputError, conv, dense, lstm, relu
from numasync.agent.agent import PRETRAINED, Agent, pretrained
from numasync.algorithms.policy import EPSILON_GREEDY, SOFTMAX
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.jitted.catch import CATCH
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.nn import reference
from numasync.runtime.jit import FLOAT

LAYERS = (dense(16), relu())
SHORT = dict(network=LAYERS, steps=300, workers=2, final_eval_episodes=3, seed=3, deterministic=True)
OBSERVATIONS = np.random.default_rng(0).uniform(-5, 5, (30, 4)).astype(np.float32)


def cartpole_agent(algo="nstep_q", **options):
    """An agent with its first random parameters."""
    return Agent(make_config("classic", algo=algo, network=LAYERS, **options), CARTPOLE.spec)


def outputs(agent, obs):
    """The network of LAYERS in NumPy."""
    view = agent.network.views(agent.theta)
    hidden = np.maximum(obs @ view["dense1.weight"] + view["dense1.bias"], 0)
    return hidden @ view["heads.weight"] + view["heads.bias"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained agent and the folder of its run."""
    folder = tmp_path_factory.mktemp("agent") / "run"
    return numasync.train("CartPole-v1", out=folder, **SHORT), folder


def test_train_prints_and_writes_nothing_unless_asked(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agent = numasync.train("CartPole-v1", algo="a3c", **SHORT)
    assert isinstance(agent, numasync.Agent) and agent.config.algo == "a3c"
    assert capsys.readouterr() == ("", "") and not list(tmp_path.iterdir())
    assert agent.result["steps"] >= 300 and agent.result["evaluation"]["episodes"] == 3


def test_verbose_prints_progress_and_the_evaluation(capsys):
    agent = numasync.train("CartPole-v1", verbose=True, **SHORT)
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("nstep_q on CartPole-v1: 2 workers") and "\nTrained after 30" in out
    assert f"mean {agent.result['evaluation']['mean']:.2f}" in out and "Checkpoint" not in out


def test_training_changes_the_parameters_that_the_agent_returns(trained):
    agent, _ = trained
    start = Agent(agent.config, agent.spec).theta
    assert np.isfinite(agent.theta).all() and not np.array_equal(agent.theta, start)


def test_the_result_is_that_of_the_file(trained):
    agent, folder = trained
    written = json.loads((folder / "result.json").read_text())
    assert written.pop("made_by") and agent.result == written
    assert agent.result == numasync.load(folder / "checkpoint.npz").result
    assert agent.result["evaluation"] == agent.evaluate(3), "the seed is the agent's own by default"


@pytest.mark.parametrize("algo", ["nstep_q", "a3c"])
def test_predict_takes_the_action_of_the_highest_output(algo):
    agent = cartpole_agent(algo)
    actions = [agent.predict(obs) for obs in OBSERVATIONS]
    assert {type(action) for action in actions} == {int}
    assert actions == outputs(agent, OBSERVATIONS)[:, :2].argmax(axis=1).tolist() and set(actions) == {0, 1}


def test_predict_can_sample_the_policy_of_a3c():
    agent = cartpole_agent("a3c")
    agent.theta[:] = 0
    agent.network.views(agent.theta)["heads.bias"][:2] = np.log([0.25, 0.75])
    actions = [agent.predict(OBSERVATIONS[0], greedy=False) for _ in range(2000)]
    assert np.mean(actions) == pytest.approx(0.75, abs=0.04)  # four standard deviations
    assert {agent.predict(OBSERVATIONS[0]) for _ in range(50)} == {1}


@pytest.mark.parametrize("epsilon, share", [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5)])
def test_predict_can_explore_with_the_evaluations_epsilon(epsilon, share):
    agent = cartpole_agent(eval_epsilon=epsilon)
    greedy = agent.predict(OBSERVATIONS[0])
    actions = np.array([agent.predict(OBSERVATIONS[0], greedy=False) for _ in range(1000)])
    assert np.mean(actions != greedy) == pytest.approx(share, abs=0.065)  # four standard deviations


def test_an_agent_says_what_it_is_and_how_far_it_is(trained):
    assert repr(cartpole_agent()) == "<Agent: nstep_q on CartPole-v1, network (dense(16), relu()), untrained>"
    agent, _ = trained
    steps, mean = agent.result["steps"], agent.result["evaluation"]["mean"]
    assert f"{agent}".endswith(f"(dense(16), relu()), {steps:,} steps, score {mean:.2f}>")
    pong = numasync.load("pong-a3c")
    assert repr(pong).startswith("<Agent: a3c on PongNoFrameskip-v4, network ") and ", score " in repr(pong)
    agent = cartpole_agent()
    agent.result = {**pong.result, "steps": 1234, "evaluation": None}
    assert repr(agent).endswith(", 1,234 steps, not evaluated>"), "an interrupted run"


def test_the_policy_of_an_evaluation():
    q, a3c = cartpole_agent("nstep_q", eval_epsilon=0.25, eval_greedy=False), cartpole_agent("a3c", eval_greedy=False)
    assert q.evaluation_policy()[:3] == (q.network, EPSILON_GREEDY, 0.25)
    assert a3c.evaluation_policy()[:3] == (a3c.network, SOFTMAX, 0.0)
    greedy = cartpole_agent("a3c", eval_greedy=True).evaluation_policy()
    assert (greedy.policy, greedy.epsilon) == (EPSILON_GREEDY, 0.0)


def test_predict_remembers_an_episode_until_reset():
    agent = Agent(make_config("classic", network=(lstm(16),)), CARTPOLE.spec)
    agent.theta *= 3
    expected = reference.network_forward(OBSERVATIONS, agent.theta, agent.network)[-1].argmax(axis=1).tolist()
    alone = [reference.network_forward(obs[None], agent.theta, agent.network)[-1].argmax() for obs in OBSERVATIONS]
    assert expected != alone, "what is remembered decides some actions"
    for _ in range(2):
        assert [agent.predict(obs) for obs in OBSERVATIONS] == expected
        agent.reset()
    agent.predict(OBSERVATIONS[-1])
    assert [agent.predict(obs) for obs in OBSERVATIONS] != expected


def test_a_value_of_its_own_network():
    agent = Agent(make_config("continuous", algo="a3c", network=LAYERS, separate_value=True), PENDULUM.spec)
    names = {name.partition(".")[0] for name in agent.network.views(agent.theta)}
    assert names == {"tower1", "tower2"} and agent.network.n_outputs == 3
    shared = Agent(dataclasses.replace(agent.config, separate_value=False), PENDULUM.spec)
    assert shared.network.n_outputs == 3 and agent.theta.size > 1.5 * shared.theta.size
    q = Agent(make_config("classic", algo="nstep_q", network=LAYERS, separate_value=True), CARTPOLE.spec)
    assert q.network.n_outputs == 2, "a Q method has one network"


@pytest.mark.parametrize("obs", [np.zeros(3), np.zeros((1, 1, 4)), np.zeros(()), 0, [0.0] * 5, None])
def test_predict_refuses_another_shape(obs):
    with pytest.raises(InputError, match=r"it must be an array of shape \(4,\) or a batch of them\.$") as caught:
        cartpole_agent().predict(obs)
    assert isinstance(caught.value, ValueError)


def test_predict_takes_an_image_of_catch():
    agent = Agent(make_config("image"), CATCH.spec)
    assert agent.predict(np.eye(10, 5)) in (0, 1, 2)
    with pytest.raises(InputError, match=r"shape \(10, 5\)"):
        agent.predict(np.eye(5, 10))


@pytest.mark.parametrize("algo", ["nstep_q", "a3c"])
def test_evaluation_is_repeatable_for_a_seed_and_leaves_the_agent_alone(algo):
    agent = cartpole_agent(algo, eval_greedy=False)
    theta = agent.theta.copy()
    evaluation = agent.evaluate(episodes=6, seed=1)
    assert list(evaluation) == ["episodes", "mean", "std", "min", "max"] and evaluation["episodes"] == 6
    assert evaluation["min"] < evaluation["mean"] < evaluation["max"] and evaluation["std"] > 0
    agent.predict(OBSERVATIONS[0], greedy=False)
    assert agent.evaluate(episodes=6, seed=1) == evaluation
    assert agent.evaluate(episodes=6, seed=2) != evaluation
    assert np.array_equal(agent.theta, theta)


def test_a_policy_is_sampled_in_evaluation_unless_greedy_is_asked_for():
    agent = cartpole_agent("a3c", eval_greedy=False)
    greedy = Agent(dataclasses.replace(agent.config, eval_greedy=True), agent.spec, agent.theta)
    assert agent.evaluate(6) != greedy.evaluate(6)


def test_evaluation_plays_the_gymnasium_twin():
    agent = cartpole_agent()
    assert 1 <= agent.evaluate(2, env="gymnasium:CartPole-v1")["mean"] <= 500


@pytest.mark.parametrize(
    "arguments, says",
    [
        (dict(env="Catch-v0"), "trained on CartPole-v1; it cannot play Catch-v0"),
        (dict(episodes=0), "episodes is 0"),
        (dict(episodes=-1), "episodes is -1"),
        (dict(seed=-1), "seed is -1"),
    ],
)
def test_evaluation_refuses(arguments, says):
    with pytest.raises(InputError, match=says):
        cartpole_agent().evaluate(**arguments)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "gymnasium:CartPole-v1"])
def test_evaluation_refuses_an_environment_that_has_changed(env_id):
    spec = CARTPOLE.spec._replace(id=env_id, n_actions=3)
    with pytest.raises(InputError, match=r"are \(4,\), 2, None; the agent expects \(4,\), 3, None\.$"):
        Agent(make_config("classic", env=env_id), spec).evaluate(2)


def test_an_agent_survives_saving_and_loading(trained, tmp_path):
    agent, _ = trained
    agent.save(tmp_path / "copy.npz")
    copy = numasync.load(tmp_path / "copy.npz")
    assert copy.theta.dtype == np.float32 and np.array_equal(copy.theta, agent.theta)
    assert copy.config == agent.config and copy.spec == agent.spec and copy.result == agent.result
    assert [copy.predict(obs) for obs in OBSERVATIONS] == [agent.predict(obs) for obs in OBSERVATIONS]
    assert copy.evaluate(3, seed=9) == agent.evaluate(3, seed=9)


def test_half_precision_takes_half_the_bytes_and_is_loaded_as_float32(tmp_path):
    agent = Agent(make_config("image"), CATCH.spec)
    for half in (False, True):
        agent.save(tmp_path / f"{half}.npz", half)
    copy = numasync.load(tmp_path / "True.npz")
    assert copy.theta.dtype == np.float32 and np.array_equal(copy.theta, agent.theta.astype(np.float16))
    assert not np.array_equal(copy.theta, agent.theta) and copy.config == agent.config and copy.spec == agent.spec
    full, half = ((tmp_path / name).stat().st_size for name in ("False.npz", "True.npz"))
    assert 0.3 * full < half < 0.55 * full
    with zipfile.ZipFile(tmp_path / "True.npz") as file:
        assert {member.compress_type for member in file.infolist()} == {zipfile.ZIP_DEFLATED}
    assert copy.predict(np.eye(10, 5)) in (0, 1, 2) and copy.evaluate(2)["episodes"] == 2


def screen_agent(shape, mean):
    """An agent whose screens are a stack of frames or a picture, by the length of their shape."""
    spec = EnvSpec(
        "Screen-v0", "atari", Observation("frames" if len(shape) == 3 else "image", shape, 0.1, mean=mean), 3
    )
    return Agent(make_config("atari", network=LAYERS), spec)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 6), (5, 6)], ids=["frames", "image"])
def test_the_mean_of_a_screen_is_kept_as_it_is(tmp_path, shape, half):
    mean = np.random.default_rng(0).uniform(0, 255, (5, 6)).astype(np.float32)
    for given in (mean, None):
        agent = screen_agent(shape, given)
        agent.save(tmp_path / "screen.npz", half)
        copy = numasync.load(tmp_path / "screen.npz")
        assert copy.spec == agent.spec
        assert copy.spec.observation.mean is None if given is None else copy.spec.observation.mean.dtype == np.float32
        np.testing.assert_array_equal(copy.spec.observation.mean, given)


@pytest.mark.parametrize("mean", [np.zeros((2, 5, 6), FLOAT), np.zeros(30, FLOAT), np.zeros((5, 6))], ids=str)
def test_a_mean_that_does_not_fit_the_screen_is_damage(tmp_path, mean):
    screen_agent((2, 5, 6), mean).save(tmp_path / "screen.npz")
    with pytest.raises(
        InputError, match=r"screen\.npz holds a mean that does not fit its screen; the file is damaged\.$"
    ):
        numasync.load(tmp_path / "screen.npz")


@pytest.fixture
def shipped_agent(tmp_path, monkeypatch):
    """An agent that ships as cartpole-a3c; the current folder is an empty one."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr("numasync.agent.agent.PRETRAINED", tmp_path / "agents")
    monkeypatch.chdir(tmp_path / "here")
    agent = cartpole_agent("a3c", seed=11)
    agent.save(tmp_path / "agents" / "cartpole-a3c.npz", half=True)
    return agent


def test_an_agent_that_ships_is_loaded_by_its_name(shipped_agent):
    assert pretrained() == ["cartpole-a3c"]
    for name in ("cartpole-a3c", Path("cartpole-a3c")):
        agent = numasync.load(name, env="CartPole-v1")
        assert agent.config == shipped_agent.config
        assert np.array_equal(agent.theta, shipped_agent.theta.astype(np.float16))
    with pytest.raises(InputError, match="cannot play Catch-v0"):
        numasync.load("cartpole-a3c", env="Catch-v0")


def test_a_name_that_does_not_ship_and_a_file_of_ones_own_are_paths(shipped_agent):
    for path in ("cartpole", "cartpole-a3c.npz", "agents/cartpole-a3c"):
        with pytest.raises(InputError, match=f"^There is no file {path}[;,]"):
            numasync.load(path)
    cartpole_agent("a3c", seed=12).save("cartpole-a3c.npz")
    assert numasync.load("cartpole-a3c.npz").config.seed == 12 and numasync.load("cartpole-a3c").config.seed == 11


@pytest.mark.parametrize(
    "name, score", [("pong-a3c", 18), ("pong-nstep_q", 15), ("pong-one_step_q", 15), ("pong-one_step_sarsa", 15)]
)
def test_agents_that_ship(name, score):
    assert name in pretrained() and (PRETRAINED / f"{name}.npz").stat().st_size < 2_000_000
    agent = numasync.load(name)
    assert agent.spec.id == "PongNoFrameskip-v4" and name == f"pong-{agent.config.algo}"
    assert np.isfinite(agent.theta).all() and agent.result["evaluation"]["mean"] >= score
    assert agent.predict(np.zeros((4, 84, 84), np.uint8)) in range(6)


def test_no_agents_ship_where_there_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("numasync.agent.agent.PRETRAINED", tmp_path / "none")
    assert pretrained() == []


def test_a_network_of_ones_own_is_kept_in_the_checkpoint(trained):
    agent, folder = trained
    copy = numasync.load(folder / "checkpoint.npz")
    assert copy.config.network == LAYERS and copy.network.layers == agent.network.layers
    assert copy.network.n_parameters == 4 * 16 + 16 + 16 * 2 + 2


def test_a_checkpoint_is_loaded_for_its_own_environment_alone(trained):
    path = trained[1] / "checkpoint.npz"
    for env in ("CartPole-v1", "gymnasium:CartPole-v1"):
        assert numasync.load(path, env=env).spec.id == "CartPole-v1"
    with pytest.raises(InputError, match="cannot play Catch-v0"):
        numasync.load(path, env="Catch-v0")


@pytest.mark.parametrize(
    "options",
    [
        dict(steps=0),
        dict(workers=-1),
        dict(lr=float("nan")),
        dict(algo="dqn"),
        dict(learning_rate=0.1),
        dict(network="big"),
        dict(network=("mlp",)),
        dict(network=5),
        dict(network=(relu(),)),
        dict(network=(conv(16, 8), relu())),
        dict(env="Nope-v0"),
        dict(env="nope:Nope-v0"),
        dict(env=5),
        dict(env="Pendulum-v1", algo="nstep_q"),
    ],
    ids=str,
)
def test_bad_options_are_refused_in_one_sentence_before_anything_is_written(tmp_path, options):
    with pytest.raises(ValueError, match=r"^[^\n]+[.?]$") as caught:
        numasync.train(out=tmp_path / "run", **options)
    assert isinstance(caught.value, InputError) and not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_options_too(tmp_path):
    options = dict(SHORT, steps=np.int64(100), seed=np.int64(3), lr=np.float64(1e-3), gamma=np.float32(0.5))
    agent = numasync.train(out=tmp_path / "run", **options)
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").config == agent.config


def test_nothing_is_overwritten(trained):
    _, folder = trained
    before = (folder / "checkpoint.npz").read_bytes()
    with pytest.raises(InputError, match="already exists and is not empty"):
        numasync.train(out=folder, **SHORT)
    assert (folder / "checkpoint.npz").read_bytes() == before


def test_an_empty_folder_is_taken(tmp_path):
    numasync.train(out=tmp_path, **SHORT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.npz",
        "config.json",
        "evaluations.csv",
        "monitor.csv",
        "result.json",
        "training-previous.npz",
        "training.npz",
    ]


def test_ctrl_c_in_the_evaluation_keeps_the_trained_agent(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Agent, "evaluate", interrupted)
    agent = numasync.train(out=tmp_path / "run", **SHORT)
    assert agent.result["interrupted"] is True and agent.result["evaluation"] is None
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").result == agent.result
