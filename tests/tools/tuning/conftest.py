"""Tunings that train nothing: the score of a run is made up from its options."""

from concurrent.futures import Future

import pytest

import numasync
from numasync.errors import NotFiniteError
from numasync.tools.tuning import trial
from numasync.training.progress import Progress

SMALL = dict(env="Catch-v0", algo="a3c", steps=1000, workers=1)


class InlineExecutor:
    """An executor that calls a function at once, in this process."""

    def submit(self, function, *arguments):
        """Return the Future of a call that has ended."""
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class FakeRun(trial.PrunableRun):
    """A run that trains nothing. Its evaluations rise in a straight line to 1000 times the learning rate.

    played    the learning rate and the seed of each run that was played
    followed  the names of the callbacks of the last run
    fault     raised in the place of a result, where it is no None
    diverges  (lr) -> whether a run diverges
    """

    played: list = []
    followed: list = []
    fault = None
    diverges = staticmethod(lambda lr: False)

    def __init__(self, agent, folder, report, callbacks=()):
        self.agent, self.supervisor, self.steps = agent, self, 0
        self.followed[:] = [each.name for each in callbacks]

    def progress(self):
        return Progress(self.steps, self.agent.config.steps, 1.5, 0, [], False)

    def run(self):
        config = self.agent.config
        self.played.append((config.lr, config.seed))
        if self.fault:
            raise self.fault
        for self.steps in range(config.eval_every, config.steps, config.eval_every):
            score = 1000 * config.lr * self.steps / config.steps
            if self.on_evaluation(self.steps + 3, score):
                raise trial.PrunedError("pruned")
        if self.diverges(config.lr):
            raise NotFiniteError("a loss")
        self.steps = config.steps
        self.agent.result = {"interrupted": False, "evaluation": {"mean": 1000 * config.lr}}
        return self.agent


@pytest.fixture
def hasty_database():
    """A database that does not wait for the disk. It keeps nothing through a power cut, and a test needs no more."""
    pytest.importorskip("optuna")
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection, record):
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    yield
    event.remove(Engine, "connect", hurry)


@pytest.fixture
def fake_run(monkeypatch, hasty_database):
    monkeypatch.setattr(FakeRun, "played", [])
    monkeypatch.setattr(trial, "PrunableRun", FakeRun)
    return FakeRun


@pytest.fixture
def tune(fake_run, tmp_path):
    """Tunes in tmp_path/tuning with made-up runs."""

    def call(trials=4, **options):
        given = {**SMALL, "out": tmp_path / "tuning", "executor": InlineExecutor(), **options}
        return numasync.tune(trials=trials, **given)

    return call
