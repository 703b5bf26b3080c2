"""Scores of episodes: the same however they are cut into slices."""

import threading

import gymnasium
import numpy as np
import pytest
from support.custom_envs import LIMIT, compiler, refusal, register

from numasync import NotFiniteError, dense, lstm, relu
from numasync.agent import evaluation
from numasync.agent.agent import Agent
from numasync.agent.evaluation import EpisodePlayer, act, play_episodes, summarize
from numasync.config import make_config
from numasync.envs import REGISTERED, make_env
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.errors import EvaluationError
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row
from numasync.training.report import evaluation_line

LAYERS = (dense(16), relu())
LSTM_UNITS = (lstm(16),)
WAIT_SECONDS = 30


def agent_of(spec, algo="a3c", **options):
    """An agent with its first random parameters, which samples its policy."""
    given = {**dict(network=LAYERS, eval_greedy=False, eval_epsilon=0.3), **options}
    return Agent(make_config("classic", algo=algo, **given), spec)


class Ends(PythonEnv):
    """Step n of an episode ends as ends(n) says, with a reward of 1."""

    def __init__(self, ends):
        super().__init__(EnvSpec("Ends", "classic", Observation("vector", (2,)), 2))
        self.ends = ends

    def on_reset(self, rng, obs):
        self.n = 0
        obs[:] = 0

    def on_step(self, action, rng, obs):
        self.n += 1
        return 1.0, self.ends(self.n)


def player_of(env):
    agent = agent_of(env.spec)
    return EpisodePlayer(env, agent.evaluation_policy(), agent.theta, seed_row(1))


def scores_by_hand(agent, episodes, seed, stream):
    """The scores, step by step: four evaluators, episode i played by evaluator i % 4; none remembers another."""
    env, (network, policy, epsilon, action_map) = make_env(agent.spec.id), agent.evaluation_policy()
    scores = {}
    for number in range(4):
        rng, obs = seed_row(seed, stream + number), np.zeros((1, network.n_inputs), FLOAT)
        for i in range(number, episodes, 4):
            actions = agent.spec.new_actions(1)
            arrays = (actions, network.tape(1), obs, agent.theta, network.table)
            data = (*arrays, action_map, policy, epsilon, agent.spec.n_actions, rng)
            state, end, scores[i] = env.new_state(), RUNNING, 0.0
            env.reset(state, rng, obs[0])
            while end == RUNNING:
                act(*data)
                reward, end = env.step(state, actions[0], rng, obs[0])
                scores[i] += reward
    return [scores[i] for i in range(episodes)]


@pytest.mark.parametrize("slices", [1, 7, 1_000])
@pytest.mark.parametrize("network", [LAYERS, LSTM_UNITS])
@pytest.mark.parametrize("algo", ["a3c", "nstep_q"])
def test_a_score_does_not_depend_on_the_slices(monkeypatch, algo, network, slices):
    monkeypatch.setattr(evaluation, "CALL_STEPS", slices)
    agent = agent_of(make_env("CartPole-v1").spec, algo, network=network)
    expected = scores_by_hand(agent, 6, seed=5, stream=evaluation.EVALUATION_STREAM)
    assert play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 6, 5) == expected
    assert len(set(expected)) > 1 and agent.evaluate(6, seed=5) == summarize(expected)


def test_scores_of_continuous_actions():
    agent = agent_of(make_env("Pendulum-v1").spec)
    expected = scores_by_hand(agent, 5, seed=5, stream=evaluation.EVALUATION_STREAM)
    assert play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 5, 5) == expected
    assert len(set(expected)) == 5 and all(-2000 < score < -100 for score in expected)
    assert agent.evaluate(2, env="gymnasium:Pendulum-v1")["mean"] < -100


def test_a_stream_of_its_own_gives_scores_of_its_own():
    agent = agent_of(make_env("CartPole-v1").spec)
    given = (agent.spec, agent.evaluation_policy(), agent.theta, 6, 5)
    periodic = play_episodes(*given, evaluation.PERIODIC_EVAL_STREAM)
    assert periodic == scores_by_hand(agent, 6, 5, evaluation.PERIODIC_EVAL_STREAM) != play_episodes(*given)


@pytest.mark.parametrize("slices", [1, 7, 50, 1_000])
def test_an_episode_stops_at_the_most_steps(monkeypatch, slices):
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 50)
    monkeypatch.setattr(evaluation, "CALL_STEPS", slices)
    player = player_of(Ends(lambda n: RUNNING))
    assert [player.score(threading.Event()) for _ in range(2)] == [50, 50] and player.env.n == 50


@pytest.mark.parametrize("end", [TERMINATED, TRUNCATED])
@pytest.mark.parametrize("slices", [1, 6, 7, 8])
def test_an_episode_goes_on_after_a_lost_life_until_its_end(monkeypatch, slices, end):
    monkeypatch.setattr(evaluation, "CALL_STEPS", slices)
    player = player_of(Ends(lambda n: end if n == 7 else LIFE_LOST if n % 2 else RUNNING))
    assert [player.score(threading.Event()) for _ in range(2)] == [7, 7]


def test_an_endless_episode_stops_soon_after_it_is_asked_to(monkeypatch):
    monkeypatch.setattr(evaluation, "CALL_STEPS", 8)
    stop = threading.Event()

    def ends(n):
        if n == 20:
            stop.set()
        return RUNNING

    player = player_of(Ends(ends))
    assert player.score(stop) == 24, "the end of the slice"
    assert player.score(stop) == 0


def test_what_is_stopped_before_it_begins_plays_nothing():
    agent, stop = agent_of(make_env("CartPole-v1").spec), threading.Event()
    stop.set()
    assert play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 6, 5, stop=stop) == []


def test_those_who_wait_hear_how_many_episodes_have_ended(monkeypatch):
    monkeypatch.setattr(evaluation, "POLL_SECONDS", 0.01)
    go_on, heard = threading.Event(), []

    def ends(n):
        if n == 2 and threading.current_thread().name.endswith("_0"):  # the others end their episodes meanwhile
            assert go_on.wait(60)
        return TERMINATED if n == 3 else RUNNING

    def hear(played):
        heard.append(played)
        if played == 3:
            go_on.set()

    monkeypatch.setattr(evaluation, "make_env", lambda *_, **__: Ends(ends))
    agent = agent_of(Ends(ends).spec)
    assert agent.evaluate(4, on_progress=hear)["mean"] == 3
    assert heard == sorted(heard) and 3 in heard and max(heard) <= 4


def test_one_who_waits_can_end_an_evaluation(monkeypatch):
    monkeypatch.setattr(evaluation, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 10**9)
    before = set(threading.enumerate())

    def gone(played):
        raise BrokenPipeError

    monkeypatch.setattr(evaluation, "make_env", lambda *_, **__: Ends(lambda n: RUNNING))
    with pytest.raises(BrokenPipeError):
        agent_of(Ends(lambda n: RUNNING).spec).evaluate(4, on_progress=gone)
    assert set(threading.enumerate()) <= before


def test_an_evaluator_that_fails_stops_the_others_and_closes_every_environment(monkeypatch):
    made, before = [], set(threading.enumerate())

    class Fails(Ends):
        def __init__(self, ends):
            super().__init__(ends)
            self.closed = False
            made.append(self)

        def close(self):
            super().close()
            self.closed = True

    def ends(n):
        if n == 20 and threading.current_thread().name.endswith("_0"):
            raise ZeroDivisionError("the pole broke")
        return RUNNING

    monkeypatch.setattr(evaluation, "make_env", lambda *_, **__: Fails(ends))
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 10**9)
    agent = agent_of(Ends(ends).spec)
    with pytest.raises(EvaluationError, match="ZeroDivisionError: the pole broke"):
        play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 6, 5)
    assert 1 <= len(made) <= 4 and all(env.closed for env in made) and set(threading.enumerate()) <= before


def test_a_summary_is_of_the_sample():
    assert summarize([1.0, 2.0, 6.0]) == {"episodes": 3, "mean": 3.0, "std": pytest.approx(7**0.5), "min": 1, "max": 6}
    assert summarize([4.0]) == {"episodes": 1, "mean": 4.0, "std": 0.0, "min": 4.0, "max": 4.0}
    with pytest.raises(NotFiniteError, match="The score of an episode is not finite"):
        summarize([1.0, np.inf])


class Counted(gymnasium.Env):
    """An environment of a reward of 1 a step that ends by itself after `limit` steps, or never."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, limit):
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        self.n = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.n += 1
        return np.zeros(2, np.float32), 1.0, False, self.n == self.limit, {}


@pytest.fixture
def evaluate(monkeypatch):
    """Return a function that evaluates an agent on a Counted where numasync's own limit is 50 steps."""
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 50)

    def run(entry_point, **settings):
        monkeypatch.setitem(gymnasium.registry, "Counted-v0", gymnasium.envs.registration.EnvSpec(
            "Counted-v0", entry_point=entry_point, **settings
        ))  # fmt: skip
        env = make_env("Counted-v0")
        env.close()
        return agent_of(env.spec).evaluate(2)

    return run


def test_a_limit_of_the_environment_itself_counts(evaluate):
    registered = evaluate(lambda: Counted(0), max_episode_steps=80)
    wrapped = evaluate(lambda: gymnasium.wrappers.TimeLimit(Counted(0), 80))

    def named():
        env = Counted(80)
        env.max_steps = 80
        return gymnasium.wrappers.TransformReward(env, lambda reward: reward)

    for found in (registered, wrapped, evaluate(named)):
        assert (found["min"], found["max"]) == (80, 80) and "cut" not in found


def test_a_limit_of_numasync_is_said_in_a_field_and_in_the_line(evaluate):
    found = evaluate(lambda: Counted(0))
    assert (found["min"], found["max"], found["cut"]) == (50, 50, 2)
    assert evaluation_line(found).endswith(", 2 cut at numasync's limit of 108,000 steps.")
    assert "cut" not in evaluate(lambda: Counted(40))


def test_a_limit_of_forty_thousand_steps_that_only_step_knows_is_played_to_its_end():
    player = player_of(Ends(lambda n: TRUNCATED if n == 40_000 else RUNNING))
    assert player.score(threading.Event()) == 40_000 and player.cut == 0


@compiler
def test_a_registered_environment_names_its_limit(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 3)
    bounded = dict(max_episode_steps=LIMIT)
    try:
        register("Trial-v0")
        register("Bounded-v0", **bounded)
        cut, whole = (agent_of(make_env(env_id).spec).evaluate(20) for env_id in ("Trial-v0", "Bounded-v0"))
    finally:
        REGISTERED.clear()
    assert cut["cut"] > 0 and "cut" not in whole
    assert "max_episode_steps is 0" in str(refusal(max_episode_steps=0))
