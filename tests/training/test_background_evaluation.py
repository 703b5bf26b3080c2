"""Periodic evaluation: every crossing once, one at a time, of copies of the parameters."""

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest

from numasync.agent.evaluation import play_steps
from numasync.runtime.jit import FLOAT
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.training.display import Silent
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.train import make_agent
from numasync.training.trainer import Trainer

WAIT_SECONDS = 30


class Bench:
    """What stands around a BackgroundEvaluator: a run with a T that is set by hand, and an evaluation.

    The evaluation waits for `release`.
    """

    def __init__(self, every=100):
        self.steps, self.theta = 0, np.zeros(3, FLOAT)
        self.begun, self.passed_on = [], []
        self.release = threading.Event()
        self.evaluator = BackgroundEvaluator(every, self.evaluate, lambda *given: self.passed_on.append(given))

    def evaluate(self, theta, stop):
        self.begun.append(self.steps)
        while not self.release.wait(0.001) and not stop.is_set():
            pass
        return float(theta.sum())

    def poll(self, steps):
        """The supervisor's call at T = steps, and the wait for an evaluation that may end."""
        self.steps = steps
        self.evaluator.poll(steps, steps / 10, self.theta)
        if self.evaluator.future and self.release.is_set():
            wait([self.evaluator.future], WAIT_SECONDS)

    @property
    def scored(self):
        return [T for T, *_ in self.passed_on]


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.evaluator.close()
    bench.evaluator.pool.shutdown()


def test_every_crossing_is_scored_once(bench):
    bench.release.set()
    for steps in (0, 99, 100, 101, 199, 205, 299, 520, 540, 599, 600):
        bench.poll(steps)
    bench.evaluator.finish()
    assert bench.scored == [100, 205, 520, 600]
    bench.evaluator.finish()
    assert bench.scored == [100, 205, 520, 600], "nothing is passed on twice"


def test_evaluations_come_one_at_a_time_and_a_crossing_waits(bench):
    for steps in (100, 200, 310):
        bench.poll(steps)
    assert bench.scored == []
    bench.release.set()
    wait([bench.evaluator.future], WAIT_SECONDS)
    assert len(bench.begun) == 1
    bench.poll(320)
    assert bench.scored == [100]
    for steps in (340, 399):
        bench.poll(steps)
    assert bench.scored == [100, 320] and len(bench.begun) == 2, "the two that waited are one"
    bench.poll(400)
    bench.evaluator.finish()
    assert bench.scored == [100, 320, 400]


def test_a_score_is_of_a_copy_of_theta(bench):
    bench.theta[:] = 1
    bench.poll(100)
    bench.theta[:] = 5
    bench.poll(150)
    bench.release.set()
    bench.evaluator.finish()
    ((steps, seconds, theta, score),) = bench.passed_on
    assert (steps, seconds, score) == (100, 10.0, 3.0) and theta.tolist() == [1, 1, 1]


def test_a_score_is_passed_on_by_the_thread_that_polls(bench):
    threads = []
    bench.evaluator.on_score = lambda *_: threads.append(threading.current_thread())
    bench.release.set()
    bench.poll(100)
    bench.poll(200)
    bench.evaluator.finish()
    assert threads == [threading.main_thread()] * 2


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_parameters_that_are_not_finite_are_not_scored(bench, value):
    bench.release.set()
    bench.theta[1] = value
    bench.poll(100)
    bench.evaluator.finish()
    assert bench.begun == bench.passed_on == []


def test_what_an_evaluation_raises_comes_out_of_the_next_poll(bench):
    def fails(theta, stop):
        raise ZeroDivisionError("the pole broke")

    bench.evaluator.evaluate = fails
    bench.release.set()
    bench.poll(100)
    with pytest.raises(ZeroDivisionError, match="the pole broke"):
        bench.poll(101)


def test_closing_gives_up_what_is_under_way(bench):
    before = threading.enumerate()
    bench.poll(100)
    (thread,) = set(threading.enumerate()) - set(before)
    bench.evaluator.close()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive() and bench.passed_on == []


def test_closing_does_not_wait_for_an_evaluation_that_hangs(bench):
    bench.evaluator.evaluate = lambda theta, stop: bench.release.wait(WAIT_SECONDS)
    bench.poll(100)
    began = time.monotonic()
    bench.evaluator.close()
    assert time.monotonic() - began < WAIT_SECONDS / 2
    bench.release.set()


def test_what_a_periodic_evaluation_needs_is_compiled_after_the_line_that_says_so(monkeypatch):
    order = []

    class Recorded(Report):
        def print_start(self, made):
            order.append("says that it compiles")

    build = Trainer.build

    def recorded_build(trainer, call):
        order.append([job.kernel for job in trainer.more_jobs])
        build(trainer, call)
        assert all(job.is_done for job in trainer.more_jobs)

    monkeypatch.setattr(Trainer, "build", recorded_build)
    agent = make_agent(env="Catch-v0", network="mlp", workers=1, steps=100, final_eval_episodes=1, eval_every=1000)
    Run(agent, None, Recorded(agent.config, display=Silent())).run()
    assert order == ["says that it compiles", [play_steps]]
