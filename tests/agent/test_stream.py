"""An agent is used by several threads and on several streams; copies of it; and what it holds is checked."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import SampleEnv, registered_env
from support.text import without_address

import numasync
from numasync import InputError, dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.nn.spec import Layer

FEED_FORWARD, LSTM = (dense(16), relu()), (lstm(16),)
STREAMS, LENGTH = 8, 300
OBSERVATIONS = np.random.default_rng(0).uniform(-5, 5, (STREAMS, LENGTH, 4)).astype(np.float32)


def cartpole_agent(layers: tuple[Layer, ...] = FEED_FORWARD, algo: str = "nstep_q", **options) -> Agent:
    agent = Agent(make_config("classic", algo=algo, network=layers, **options), CARTPOLE.spec)
    agent.theta *= 3
    return agent


def play(player, observations, **how):
    return [player.predict(obs, **how) for obs in observations]


@pytest.mark.parametrize("layers", [FEED_FORWARD, LSTM])
def test_threads_get_the_same_actions_as_one_by_one(layers):
    agent = cartpole_agent(layers)
    one_by_one = [play(agent.stream(), observations) for observations in OBSERVATIONS]
    assert len({tuple(actions) for actions in one_by_one}) == STREAMS

    def play_from_the_start(player, observations):
        player.reset()
        return play(player, observations)

    for players in ([agent] * STREAMS, [agent.stream() for _ in range(STREAMS)]):
        with ThreadPoolExecutor(STREAMS) as pool:
            assert list(pool.map(play_from_the_start, players, OBSERVATIONS)) == one_by_one


def test_streams_that_take_turns_in_one_thread_do_not_meet():
    agent = cartpole_agent(LSTM)
    expected = [play(agent.stream(), observations) for observations in OBSERVATIONS]
    streams = [agent.stream() for _ in OBSERVATIONS]
    turns = [[stream.predict(OBSERVATIONS[i, t]) for i, stream in enumerate(streams)] for t in range(LENGTH)]
    assert np.array(turns).T.tolist() == expected
    streams[0].reset()
    assert play(streams[0], OBSERVATIONS[0]) == expected[0]
    assert play(agent, OBSERVATIONS[0]) == expected[0], "predict has a stream of its own"


def test_a_stream_samples_from_a_generator_of_its_own():
    agent = cartpole_agent(algo="a3c")
    first, second, other = agent.stream(), agent.stream(), agent.stream(seed=9)
    actions = [play(stream, OBSERVATIONS[0], greedy=False) for stream in (first, second, other)]
    assert actions[0] == actions[1] != actions[2]
    with ThreadPoolExecutor(1) as pool:
        in_thread = pool.submit(play, agent, OBSERVATIONS[0], greedy=False).result()
    assert in_thread == actions[0], "the first thread that asks"
    assert play(agent, OBSERVATIONS[0], greedy=False) != in_thread, "another thread, another generator"
    with pytest.raises(InputError, match="seed is -1"):
        agent.stream(seed=-1)


def test_an_environment_may_ask_an_agent_while_workers_step():
    opponent = cartpole_agent()
    expected = dict(zip(map(bytes, OBSERVATIONS[0]), play(opponent.stream(), OBSERVATIONS[0]), strict=True))
    wrong = []

    class Asks(SampleEnv):
        def step(self, action):
            obs = OBSERVATIONS[0, np.random.default_rng().integers(LENGTH)]
            wrong.extend([obs] if opponent.predict(obs) != expected[bytes(obs)] else [])
            return super().step(action)

    box = spaces.Box(-1, 1, (2,), np.float32)
    gymnasium.register("Asks-v0", entry_point=lambda **_: Asks(box, spaces.Discrete(2)))
    try:
        numasync.train("Asks-v0", network=FEED_FORWARD, steps=400, workers=4, final_eval_episodes=1)
    finally:
        del gymnasium.registry["Asks-v0"]
    assert not wrong


@pytest.mark.parametrize(
    "make_copy", [copy.copy, copy.deepcopy, lambda agent: pickle.loads(pickle.dumps(agent))], ids=without_address
)
@pytest.mark.parametrize("layers", [FEED_FORWARD, LSTM])
def test_a_copy_of_an_agent_works_and_begins_new_streams(layers, make_copy):
    agent = cartpole_agent(layers)
    expected = play(agent, OBSERVATIONS[0])
    other = make_copy(agent)
    assert play(other, OBSERVATIONS[0]) == expected and other.spec == agent.spec and other.config == agent.config
    assert other.evaluate(2) == agent.evaluate(2)


def test_what_an_agent_is_made_of_does_not_change():
    agent = cartpole_agent()
    for name in ("config", "spec", "algorithm", "network"):
        with pytest.raises(InputError, match=f"^The {name} of an agent cannot be changed; .*\\.$"):
            setattr(agent, name, getattr(agent, name))
    agent.theta, agent.result, agent.note = agent.theta.copy(), None, 1
    agent.note = 2


BAD_THETAS = {
    "float64": lambda theta: theta.astype(float),
    "big-endian": lambda theta: theta.astype(">f4"),
    "shorter": lambda theta: theta[:-1],
    "a matrix": lambda theta: theta.reshape(1, -1),
    "strided": lambda theta: np.repeat(theta, 2)[::2],
    "backwards": lambda theta: theta[::-1],
    "not aligned": lambda theta: np.array([0, *theta.tobytes()], np.uint8)[1:].view(np.float32),
    "read-only": lambda theta: np.frombuffer(theta.tobytes(), np.float32),
    "a list": lambda theta: theta.tolist(),
    "None": lambda theta: None,
    "a number": lambda theta: 3,
}


@pytest.mark.parametrize("change", BAD_THETAS.values(), ids=BAD_THETAS)
def test_theta_is_checked_wherever_it_is_used(tmp_path, change):
    agent = cartpole_agent()
    stream, policy = agent.stream(), agent.evaluation_policy()
    agent.theta = change(agent.theta)
    uses = [
        lambda: agent.predict(OBSERVATIONS[0, 0]),
        lambda: stream.predict(OBSERVATIONS[0, 0]),
        lambda: agent.evaluate(1),
        lambda: numasync.agent.evaluation.play_episodes(agent.spec, policy, agent.theta, 1, 1),
        lambda: numasync.watch("CartPole-v1", agent),
        lambda: agent.save(tmp_path / "agent.npz"),
    ]
    if agent.theta is not None:
        uses.append(lambda: Agent(agent.config, agent.spec, agent.theta))
    for use in uses:
        with pytest.raises(InputError, match=r"^theta is [^\n]*; it must be [^\n]*\.$"):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "result", [5, {}, {"steps": 1}, {"steps": "x", "evaluation": None}, {"steps": 1, "evaluation": 2}]
)
def test_a_result_that_is_none_is_shown_as_unknown_and_not_saved(tmp_path, result):
    agent = cartpole_agent()
    agent.result = result
    assert "unknown result" in repr(agent)
    with pytest.raises(InputError):
        agent.save(tmp_path / "agent.npz")
    agent.result = {"steps": 1, "evaluation": None, "note": object()}
    with pytest.raises(InputError, match="result of the agent holds what JSON cannot hold"):
        agent.save(tmp_path / "agent.npz")
    assert not list(tmp_path.iterdir())


ACTION_SPACES = {
    "start 1": spaces.Discrete(2, start=1),
    "start -3": spaces.Discrete(4, start=-3),
    "a matrix": spaces.Box(-1, 2, (2, 3), np.float32),
    "float64": spaces.Box(-0.1, 0.1, (2,), np.float64),
    "float16": spaces.Box(-1, 1, (2,), np.float16),
    "bytes": spaces.Box(0, 255, (2, 1), np.uint8),
    "integers": spaces.Box(-3, 3, (2,), np.int64),
    "no dimension": spaces.Box(-0.3, 0.3, (), np.float32),
    "no bounds": spaces.Box(-np.inf, np.inf, (1,), np.float32),
    "one bound": spaces.Box(np.array([0, -1]), np.array([np.inf, 1]), dtype=np.float64),
}


@pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)
def test_predict_returns_what_the_environment_accepts_also_after_saving(tmp_path, space):
    with registered_env(spaces.Box(-1, 1, (4,), np.float32), space) as env_id:
        env = make_env(env_id)
        env.close()
        agent = Agent(make_config(env.spec.family, algo="a3c", network=FEED_FORWARD), env.spec)
        agent.theta *= 20
        agent.save(tmp_path / "agent.npz")
        loaded = numasync.load(tmp_path / "agent.npz")
        assert loaded.spec == agent.spec and loaded.evaluate(2)
    found = [player.predict(obs, greedy) for obs in OBSERVATIONS[0] for greedy in (True, False) for player in (agent,)]
    assert all(space.contains(action) for action in found)
    assert all(isinstance(a, int) or (type(a) is np.ndarray and a.dtype == space.dtype) for a in found)
    assert len({np.asarray(action).tobytes() for action in found}) > 1
    for obs in OBSERVATIONS[1, :20]:
        np.testing.assert_array_equal(agent.predict(obs), loaded.predict(obs))
