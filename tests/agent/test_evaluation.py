"""Scores: the same however they are cut into slices, and played beside a run from copies of its parameters."""

import threading
import time
from concurrent.futures import wait
from types import SimpleNamespace

import numpy as np
import pytest

from numasync import NotFiniteError, dense, lstm, relu
from numasync.agent import evaluation
from numasync.agent.agent import Agent
from numasync.agent.evaluation import Player, act, play_episodes, summary
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

LAYERS = (dense(16), relu())
LSTM_UNITS = (lstm(16),)
WAIT_SECONDS = 30


def agent_of(spec, algo="a3c", **options):
    """An agent with its first random parameters, which samples its policy."""
    given = {**dict(network=LAYERS, eval_greedy=False, eval_epsilon=0.3), **options}
    return Agent(make_config("classic", algo=algo, **given), spec)


# --- Episodes


class Ends(PythonEnv):
    """Step n of an episode ends as ends(n) says, with a reward of 1."""

    def __init__(self, ends):
        super().__init__(EnvSpec("Ends", "classic", Observation("vector", (2,)), 2))
        self.ends = ends

    def restart(self, rng, obs):
        self.n = 0
        obs[:] = 0

    def play(self, action, rng, obs):
        self.n += 1
        return 1.0, self.ends(self.n)


def player_of(env):
    agent = agent_of(env.spec)
    return Player(env, agent.evaluation_policy(), agent.theta, seed_row(1))


def scores_by_hand(agent, episodes, seed, stream):
    """The scores, action by action: four evaluators, episode i played by evaluator i % 4; none remembers another."""
    env, (network, policy, epsilon) = make_env(agent.spec.id), agent.evaluation_policy()
    scores = {}
    for number in range(4):
        rng, obs = seed_row(seed, stream + number), np.zeros((1, network.n_inputs), FLOAT)
        for i in range(number, episodes, 4):
            actions = agent.spec.new_actions(1)
            data = (
                network.table,
                agent.theta,
                obs,
                network.tape(1),
                actions,
                policy,
                epsilon,
                agent.spec.n_actions,
                rng,
            )
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
    monkeypatch.setattr(evaluation, "CALL_ACTIONS", slices)
    agent = agent_of(make_env("CartPole-v1").spec, algo, network=network)
    expected = scores_by_hand(agent, 6, seed=5, stream=evaluation.EVALUATION_STREAM)
    assert play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 6, 5) == expected
    assert len(set(expected)) > 1 and agent.evaluate(6, seed=5) == summary(expected)


def test_scores_of_continuous_actions():
    agent = agent_of(make_env("Pendulum-v1").spec)
    expected = scores_by_hand(agent, 5, seed=5, stream=evaluation.EVALUATION_STREAM)
    assert play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 5, 5) == expected
    assert len(set(expected)) == 5 and all(-2000 < score < -100 for score in expected)
    assert agent.evaluate(2, env="gymnasium:Pendulum-v1")["mean"] < -100


def test_a_stream_of_its_own_gives_scores_of_its_own():
    agent = agent_of(make_env("CartPole-v1").spec)
    given = (agent.spec, agent.evaluation_policy(), agent.theta, 6, 5)
    beside = play_episodes(*given, evaluation.PERIODIC_EVAL_STREAM)
    assert beside == scores_by_hand(agent, 6, 5, evaluation.PERIODIC_EVAL_STREAM) != play_episodes(*given)


@pytest.mark.parametrize("slices", [1, 7, 50, 1_000])
def test_an_episode_stops_at_the_most_actions(monkeypatch, slices):
    monkeypatch.setattr(evaluation, "MAX_ACTIONS", 50)
    monkeypatch.setattr(evaluation, "CALL_ACTIONS", slices)
    player = player_of(Ends(lambda n: RUNNING))
    assert [player.score(threading.Event()) for _ in range(2)] == [50, 50] and player.env.n == 50


@pytest.mark.parametrize("end", [TERMINATED, TRUNCATED])
@pytest.mark.parametrize("slices", [1, 6, 7, 8])
def test_an_episode_goes_on_after_a_lost_life_until_its_end(monkeypatch, slices, end):
    monkeypatch.setattr(evaluation, "CALL_ACTIONS", slices)
    player = player_of(Ends(lambda n: end if n == 7 else LIFE_LOST if n % 2 else RUNNING))
    assert [player.score(threading.Event()) for _ in range(2)] == [7, 7]


def test_an_endless_episode_stops_soon_after_it_is_asked_to(monkeypatch):
    monkeypatch.setattr(evaluation, "CALL_ACTIONS", 8)
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
    monkeypatch.setattr(evaluation, "MAX_ACTIONS", 10**9)
    agent = agent_of(Ends(ends).spec)
    with pytest.raises(ZeroDivisionError, match="the pole broke"):
        play_episodes(agent.spec, agent.evaluation_policy(), agent.theta, 6, 5)
    assert len(made) == 4 and all(env.closed for env in made) and set(threading.enumerate()) <= before


def test_a_summary_is_of_the_sample():
    assert summary([1.0, 2.0, 6.0]) == {"episodes": 3, "mean": 3.0, "std": pytest.approx(7**0.5), "min": 1, "max": 6}
    assert summary([4.0]) == {"episodes": 1, "mean": 4.0, "std": 0.0, "min": 4.0, "max": 4.0}
    with pytest.raises(NotFiniteError, match="The score of an episode is not finite"):
        summary([1.0, np.inf])


# --- Beside a run


class Bench:
    """What stands around a Sideline: a trainer, whose T is set by hand, and an evaluation that waits for `release`."""

    def __init__(self, every=100):
        self.trainer = SimpleNamespace(steps=0, seconds=0.0, theta=np.zeros(3, FLOAT))
        self.begun, self.passed_on = [], []
        self.release = threading.Event()
        self.background = BackgroundEvaluator(every, self.evaluate, lambda *given: self.passed_on.append(given))

    def evaluate(self, theta, stop):
        self.begun.append(self.trainer.steps)
        while not self.release.wait(0.001) and not stop.is_set():
            pass
        return float(theta.sum())

    def look(self, steps):
        """The supervisor's look at T = steps, and the wait for an evaluation that may end."""
        self.trainer.steps, self.trainer.seconds = steps, steps / 10
        self.background.look(self.trainer)
        if self.background.future and self.release.is_set():
            wait([self.background.future], WAIT_SECONDS)

    @property
    def scored(self):
        return [T for T, *_ in self.passed_on]


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.background.close()
    bench.background.pool.shutdown()


def test_every_crossing_is_scored_once(bench):
    bench.release.set()
    for steps in (0, 99, 100, 101, 199, 205, 299, 520, 540, 599, 600):
        bench.look(steps)
    bench.background.finish()
    assert bench.scored == [100, 205, 520, 600]
    bench.background.finish()
    assert bench.scored == [100, 205, 520, 600], "nothing is passed on twice"


def test_evaluations_come_one_at_a_time_and_a_crossing_waits(bench):
    for steps in (100, 200, 310):
        bench.look(steps)
    assert bench.scored == []
    bench.release.set()
    wait([bench.background.future], WAIT_SECONDS)
    assert len(bench.begun) == 1
    bench.look(320)
    assert bench.scored == [100]
    for steps in (340, 399):
        bench.look(steps)
    assert bench.scored == [100, 320] and len(bench.begun) == 2, "the two that waited are one"
    bench.look(400)
    bench.background.finish()
    assert bench.scored == [100, 320, 400]


def test_a_score_is_of_a_copy_of_theta(bench):
    bench.trainer.theta[:] = 1
    bench.look(100)
    bench.trainer.theta[:] = 5
    bench.look(150)
    bench.release.set()
    bench.background.finish()
    ((steps, seconds, theta, score),) = bench.passed_on
    assert (steps, seconds, score) == (100, 10.0, 3.0) and theta.tolist() == [1, 1, 1]


def test_a_score_is_passed_on_by_the_thread_that_looks(bench):
    threads = []
    bench.background.on_score = lambda *_: threads.append(threading.current_thread())
    bench.release.set()
    bench.look(100)
    bench.look(200)
    bench.background.finish()
    assert threads == [threading.main_thread()] * 2


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_parameters_that_are_not_finite_are_not_scored(bench, value):
    bench.release.set()
    bench.trainer.theta[1] = value
    bench.look(100)
    bench.background.finish()
    assert bench.begun == bench.passed_on == []


def test_what_an_evaluation_raises_comes_out_of_the_next_look(bench):
    def fails(theta, stop):
        raise ZeroDivisionError("the pole broke")

    bench.background.evaluate = fails
    bench.release.set()
    bench.look(100)
    with pytest.raises(ZeroDivisionError, match="the pole broke"):
        bench.look(101)


def test_closing_gives_up_what_is_under_way(bench):
    before = threading.enumerate()
    bench.look(100)
    (thread,) = set(threading.enumerate()) - set(before)
    bench.background.close()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive() and bench.passed_on == []


def test_closing_does_not_wait_for_an_evaluation_that_hangs(bench):
    bench.background.evaluate = lambda theta, stop: bench.release.wait(WAIT_SECONDS)
    bench.look(100)
    began = time.monotonic()
    bench.background.close()
    assert time.monotonic() - began < WAIT_SECONDS / 2
    bench.release.set()
