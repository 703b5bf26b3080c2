"""An agent as an ONNX file computes what the agent computes."""

import sys

import numpy as np
import pytest
from support.agents import ACTIONS, KINDS, LAYERS, LSTM, draw_batch, make_agent

from numasync import InputError, lstm
from numasync.agent.agent import Agent, load
from numasync.config import make_config
from numasync.envs import JITTED
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.nn.architectures import ARCHITECTURES

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

# Relative to the largest output.
TOLERANCE = 1e-5
MEAN = np.random.default_rng(1).uniform(0, 255, (84, 84)).astype(np.float32)
SCREEN = EnvSpec("Screen-v0", "atari", Observation("frames", (4, 84, 84), 1 / 80, mean=MEAN), 6, action_start=2)
SPECS = {"mlp": CARTPOLE.spec, "minatar": JITTED["MinAtar/Breakout-v1"].spec, "nips": SCREEN, "nature": SCREEN}
METHODS = {"q": ("nstep_q", False), "a3c": ("a3c", False), "towers": ("a3c", True)}


def open_file(agent, folder):
    """Write an agent to an ONNX file, and let onnxruntime open it."""
    agent.to_onnx(folder / "agent.onnx")
    return onnxruntime.InferenceSession(str(folder / "agent.onnx"), providers=["CPUExecutionProvider"])


def outputs_of(session, **inputs):
    """Run an ONNX file and return its outputs by name. A batch gets the dtype that the file asks for."""
    dtypes = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(float)": np.float32}
    given = {each.name: np.asarray(inputs[each.name], dtypes[each.type]) for each in session.get_inputs()}
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, given), strict=True))


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def assert_same(found, policy, actions, ends=()):
    """Compare the outputs of a file with what the agent gives. ends: where the logits of the first integers end."""
    bound = TOLERANCE * max(np.abs(expected).max() for expected in policy)
    for name, expected in policy._asdict().items():
        if name == "probabilities":
            actual = np.hstack([softmax(logits) for logits in np.split(found["logits"], ends, axis=1)])
        else:
            actual = found[name]
        assert actual.shape == expected.shape and actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)
    assert found["action"].dtype == actions.dtype
    np.testing.assert_allclose(found["action"], actions, rtol=0, atol=bound)


def draw(spec, n, seed):
    generator = np.random.default_rng(seed)
    if spec is SCREEN:
        frames = generator.integers(0, 256, (n, 4, 84, 84)).astype(np.uint8)
        frames[0, :3] = 0  # the first observation of an episode
        return frames
    if spec is CARTPOLE.spec:
        return generator.normal(size=(n, 4)).astype(np.float32)
    return (generator.random((n, *spec.observation.shape)) < 0.3).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", ARCHITECTURES)
def test_every_named_network_is_the_same_in_onnx(tmp_path, network, method):
    spec, (algo, separate_value) = SPECS[network.removesuffix("_lstm")], METHODS[method]
    config = make_config(spec.family, algo=algo, network=network, separate_value=separate_value)
    agent = Agent(config, spec)
    session = open_file(agent, tmp_path)
    states = [each.name for each in session.get_inputs() if each.name != "obs"]
    assert bool(states) == network.endswith("_lstm")
    if not states:
        for n in (1, 5):
            batch = draw(spec, n, n)
            assert_same(outputs_of(session, obs=batch), agent.policy(batch), agent.predict(batch))
        return
    stream = agent.stream(size=3)
    units = {each.name: each.shape[1] for each in session.get_inputs() if each.name != "obs"}
    given = {name: np.zeros((3, units[name]), np.float32) for name in states}
    for t in range(4):
        batch = draw(spec, 3, t)
        found = outputs_of(session, obs=batch, **given)
        assert_same(found, stream.policy(batch), stream.predict(batch))
        given = {name: found[f"{name}_next"] for name in states}


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_observation_and_action_is_the_same_in_onnx(tmp_path, kind, actions):
    agent, batch = make_agent(kind, actions), draw_batch(kind)
    if np.asarray(batch).dtype.kind == "f":
        batch = batch.astype(np.float32)
    found = outputs_of(open_file(agent, tmp_path), obs=batch)
    assert_same(found, agent.policy(batch), agent.predict(batch), np.cumsum(agent.spec.action_heads)[:-1])


def test_the_names_and_shapes_are_documented(tmp_path):
    session = open_file(make_agent(layers=(*LSTM, lstm(4))), tmp_path)
    inputs = {each.name: (each.type, each.shape) for each in session.get_inputs()}
    assert inputs == {
        "obs": ("tensor(float)", ["n", 4]),
        "lstm1_h": ("tensor(float)", ["n", 16]),
        "lstm1_c": ("tensor(float)", ["n", 16]),
        "lstm2_h": ("tensor(float)", ["n", 4]),
        "lstm2_c": ("tensor(float)", ["n", 4]),
    }
    names = [each.name for each in session.get_outputs()]
    assert set(names) == {"action", "q", "value", *(f"{name}_next" for name in inputs if name != "obs")}
    assert session.get_modelmeta().custom_metadata_map == {"env": "Game-v0", "algo": "nstep_q"}


def test_a_pretrained_agent_is_the_same_in_onnx(tmp_path):
    agent = load("pong-a3c")
    batch = draw(SCREEN, 8, 0)
    assert_same(outputs_of(open_file(agent, tmp_path), obs=batch), agent.policy(batch), agent.predict(batch))


def test_without_onnx_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        InputError, match=r'^Writing an ONNX file needs onnx; pip install "numasync\[onnx\]" installs it\.$'
    ):
        make_agent().to_onnx(tmp_path / "agent.onnx")
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_no_place_for_a_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "agent.onnx", "", 3):
        with pytest.raises(InputError):
            make_agent(layers=LAYERS).to_onnx(path)
    assert not list(tmp_path.iterdir())
