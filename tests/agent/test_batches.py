"""Batches: the same as one by one. And what an agent thinks of observations, with names."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gymnasium import spaces
from support.agents import ACTIONS, KINDS, LAYERS, LSTM, N, draw_batch, make_agent
from support.gym_envs import registered_env

from numasync import InputError
from numasync.agent import stream as stream_module
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.jitted.catch import CATCH
from numasync.envs.jitted.pendulum import PENDULUM

kinds = pytest.mark.parametrize("kind", KINDS)
all_actions = pytest.mark.parametrize("actions", ACTIONS)


@kinds
@all_actions
def test_a_batch_gives_the_actions_of_its_observations_one_by_one(kind, actions, monkeypatch):
    agent, batch = make_agent(kind, actions), draw_batch(kind)
    for greedy in (True, False):
        one_by_one = [stream.predict(obs, greedy) for stream in (agent.stream(),) for obs in batch]
        for rows in (1024, 5):  # in one piece, and in several
            monkeypatch.setattr(stream_module, "PIECE_ROWS", rows)
            found = agent.stream().predict(batch, greedy)
            assert type(found) is np.ndarray and found.dtype == np.asarray(one_by_one[0]).dtype
            np.testing.assert_allclose(found, one_by_one, rtol=1e-4, atol=1e-5)
    assert len(np.unique(found, axis=0)) > 1


@kinds
@all_actions
def test_a_policy_of_a_batch_is_the_policies_one_by_one(kind, actions):
    agent, batch = make_agent(kind, actions), draw_batch(kind)
    of_batch, one_by_one = agent.policy(batch), [agent.policy(obs) for obs in batch]
    assert {type(policy) for policy in one_by_one} == {type(of_batch)}
    for name in of_batch._fields:
        found, expected = getattr(of_batch, name), [getattr(policy, name) for policy in one_by_one]
        assert found.dtype == np.float32 and found.shape == np.shape(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert type(one_by_one[0].value) is float


def test_a_policy_says_what_predict_does():
    batch = draw_batch()
    q = make_agent(actions="q")
    policy = q.policy(batch)
    assert policy.q.shape == (N, 5) and (policy.value == policy.q.max(axis=1)).all()
    assert (q.predict(batch) == policy.q.argmax(axis=1) - 3).all()
    a3c = make_agent(actions="policy")
    policy = a3c.policy(batch)
    np.testing.assert_allclose(policy.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (a3c.predict(batch) == policy.probabilities.argmax(axis=1)).all()
    obs, stream = batch[0], a3c.stream()
    drawn = np.bincount(stream.predict(np.tile(obs, (20_000, 1)), greedy=False), minlength=5) / 20_000
    np.testing.assert_allclose(drawn, a3c.policy(obs).probabilities, atol=0.02)


def test_a_policy_of_continuous_actions_is_in_the_environments_own_units():
    agent, obs = Agent(make_config("continuous", algo="a3c"), PENDULUM.spec), np.array([1.0, 0.0, 0.0], np.float32)
    agent.theta[:] = 0  # the mean is 0, its variance log 2, on a scale on which Pendulum's bounds are -1 and 1
    policy, stream = agent.policy(obs), agent.stream()
    assert policy.mean == 0 and policy.value == 0
    np.testing.assert_allclose(policy.std, 2 * np.sqrt(np.log(2) + 1e-4), rtol=1e-6)
    drawn = stream.predict(np.tile(obs, (20_000, 1)), greedy=False)
    assert np.mean(np.abs(drawn) < policy.std) == pytest.approx(0.683, abs=0.02)


def test_the_policy_does_not_take_a_step():
    agent, batch = make_agent(layers=LSTM), draw_batch()
    expected = [agent.predict(obs) for obs in batch]
    agent.reset()
    for obs, action in zip(batch, expected, strict=True):
        policies = [agent.policy(obs) for _ in range(2)]
        assert policies[0].value == policies[1].value and policies[0].q.argmax() - 3 == action
        assert agent.predict(obs) == action


@all_actions
def test_streams_side_by_side_are_streams_one_by_one(actions):
    agent = make_agent(actions=actions, layers=LSTM)
    games = np.random.default_rng(0).normal(size=(6, 20, 4))  # 6 games of 20 steps
    begins = np.random.default_rng(1).random((6, 20)) < 0.2
    for which in (lambda mask: mask, np.flatnonzero):
        together = agent.stream(size=6)
        found = []
        for t in range(20):
            together.reset(which(begins[:, t]))
            before = together.policy(games[:, t])
            found.append(together.predict(games[:, t]))
            assert len(before.value) == 6
        for number, game in enumerate(games):
            alone = agent.stream()
            for t, obs in enumerate(game):
                if begins[number, t]:
                    alone.reset()
                np.testing.assert_array_equal(alone.predict(obs), found[t][number])
    together.reset()
    np.testing.assert_array_equal(together.predict(games[:, 0]), agent.stream(size=6).predict(games[:, 0]))


@pytest.mark.parametrize("layers", [LAYERS, LSTM])
def test_threads_with_streams_of_their_own_get_the_actions_of_one_thread(layers):
    agent = make_agent(layers=layers)
    games = np.random.default_rng(0).normal(size=(8, 100, 5, 4))

    def play(game):
        stream = agent.stream(size=5)
        return [stream.predict(batch).tolist() for batch in game]

    expected = list(map(play, games))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(play, games)) == expected
    if layers is LAYERS:  # the agent's own streams, one a thread
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda game: [agent.predict(batch).tolist() for batch in game], games)
            assert list(found) == expected


REFUSED = {
    "another shape": ("vector", np.zeros((3, 5)), r"of shape \(3, 5\), does not fit; .*\(4,\) or a batch of them"),
    "an axis too many": ("vector", np.zeros((2, 3, 4)), r"of shape \(2, 3, 4\)"),
    "no observation": ("vector", np.zeros((0, 4)), "has no observation"),
    "ragged": ("vector", [[1, 2, 3, 4], [1]], "is "),
    "an integer too large": ("discrete", [0, 4, 1], "is .*4.*an integer from -2 to 3"),
    "half an integer": ("discrete", [0.5, 1], "is .*0.5"),
    "truth": ("discrete", [True, False], "is .*True"),
    "integers too large": ("multi_discrete", [[0, 1], [0, 5]], r"2 integers from \(0, 1\) to \(2, 4\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_batch_that_does_not_fit_is_refused(case):
    kind, batch, message = REFUSED[case]
    agent = make_agent(kind)
    for use in (agent.predict, agent.policy):
        with pytest.raises(InputError, match=rf"{message}[^\n]*\.$"):
            use(batch)


def test_a_batch_needs_a_stream_of_its_size_where_there_is_an_lstm():
    agent, batch = make_agent(layers=LSTM), draw_batch(n=3)
    for player in (agent, agent.stream()):
        with pytest.raises(InputError, match=r"use agent\.stream\(size=3\)"):
            player.predict(batch)
    assert agent.stream(size=3).predict(batch).shape == (3,)


@pytest.mark.parametrize("layers", [LAYERS, LSTM])
def test_a_stream_with_a_size_takes_batches_of_that_size_alone(layers):
    stream = make_agent(layers=layers).stream(size=3)
    for obs in (draw_batch(n=2), draw_batch(n=1)[0]):
        with pytest.raises(InputError, match="this stream takes 3 observations at a time"):
            stream.predict(obs)
    for which in ([True], [3], [-1], "x", [0.5], [[0]], np.zeros((3, 1), bool)):
        with pytest.raises(
            InputError, match=r"^which is .*; it must be a mask of shape \(3,\) or numbers from 0 to 2\."
        ):
            stream.reset(which)
    for which in (0, [], [2, 0], np.array([True, False, True])):
        stream.reset(which)
    with pytest.raises(InputError, match="Only a stream with a size"):
        make_agent().stream().reset([0])


@pytest.mark.parametrize("size", [0, -1, 1.5, "x", True])
def test_a_size_is_a_whole_number(size):
    with pytest.raises(InputError, match="^size is "):
        make_agent().stream(size=size)


def test_a_stream_that_no_memory_holds_is_refused():
    with pytest.raises(InputError, match="more memory"):
        make_agent(layers=LSTM).stream(size=2**40)


def test_a_batch_of_actions_is_what_the_environment_takes():
    space = spaces.Box(0, 255, (2, 1), np.uint8)
    with registered_env(spaces.Box(-1, 1, (4,), np.float32), space) as env_id:
        env = make_env(env_id)
        env.close()
    agent = Agent(make_config(env.spec.family, algo="a3c", network=LAYERS), env.spec)
    actions = agent.predict(draw_batch(), greedy=False)
    assert all(space.contains(action) for action in actions)


@pytest.mark.compiled
def test_an_agent_works_in_another_process(tmp_path):
    agent = Agent(make_config("image"), CATCH.spec)
    batch = (np.random.default_rng(0).random((50, *CATCH.spec.observation.shape)) < 0.2).astype(np.float32)
    (tmp_path / "agent.pickle").write_bytes(pickle.dumps((agent, batch)))
    code = "import pickle; agent, batch = pickle.load(open('agent.pickle', 'rb')); print(agent.predict(batch).tolist())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(agent.predict(batch).tolist())
