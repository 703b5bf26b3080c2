"""The runs of a study as they are played: what an executor is given, what a run and a curve return."""

import time
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor
from math import isnan, nan

import numpy as np
import pytest
from support.studies import FakeExecutor, runs, text

import numasync
from numasync import NotFiniteError, WorkerError
from numasync.tools import studies
from numasync.tools.studies.execution import play_waves
from numasync.tools.studies.plan import THREADS, TURNS
from numasync.tools.studies.runs import LOOKS, final_score, learning_curve, score_of


def test_everything_is_submitted_to_the_executor_as_plain_data(study):
    fake = FakeExecutor()
    study("optimizers", fake)
    assert len(fake.runs) == 2 * 3 * 4
    assert {type(value) for run in fake.runs for value in run.values()} <= {str, int, float}


def test_timed_runs_are_submitted_one_by_one_after_all_others():
    under_way, log = [], []

    class Slow(ThreadPoolExecutor):
        def submit(self, function, run):
            log.append((run["mode"], len([future for future in under_way if not future.done()])))
            under_way.append(super().submit(function, run))
            return under_way[-1]

    found = runs("threads", algos="a3c", runs=1)
    waves = [[run for run in found if run["mode"] == TURNS], *([run] for run in found if run["mode"] == THREADS)]
    with Slow(2) as pool:
        list(play_waves(waves, slow, pool))
    assert [mode for mode, _ in log] == 5 * [TURNS] + 2 * [THREADS]
    assert [busy for mode, busy in log if mode == THREADS] == [0, 0]


def slow(run):
    time.sleep(0.02)


def test_a_failed_run_ends_the_study_and_keeps_what_is_finished(study, tmp_path):
    class Failing(FakeExecutor):
        def submit(self, function, run):
            if len(self.runs) < 2:
                return super().submit(function, run)
            future = Future()
            ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.3), future.set_exception(WorkerError("It broke."))))
            return future

    with pytest.raises(WorkerError, match=r"^It broke\.$"):
        study("lr", Failing())
    assert len(text(tmp_path).splitlines()) == 1 + 2


class AllAtOnce(FakeExecutor):
    """Its first run fails, the next two are finished, a process has taken the fourth, and the others are not begun."""

    def __init__(self, error):
        super().__init__()
        self.error, self.futures = error, []

    def submit(self, function, run):
        n = len(self.futures)
        future = super().submit(function, run) if n in (1, 2) else Future()
        if n == 0:
            future.set_exception(self.error)
        elif n == 3:
            future.set_running_or_notify_cancel()
        self.futures.append(future)
        return future


@pytest.mark.parametrize(
    "error, raised",
    [
        (WorkerError("It broke."), r"^It broke\.$"),
        (BrokenExecutor(), "^A process of the study has ended before its run"),
        (CancelledError(), "^$"),
        (KeyboardInterrupt(), "^$"),
    ],
)
def test_what_is_finished_beside_a_failed_run_is_kept_and_nothing_more_is_begun(study, tmp_path, error, raised):
    executor = AllAtOnce(error)
    with pytest.raises(WorkerError if isinstance(error, BrokenExecutor) else type(error), match=raised):
        study("lr", executor)
    assert len(text(tmp_path).splitlines()) == 1 + 2
    assert [future.cancelled() for future in executor.futures] == 4 * [False] + 4 * [True]
    again = FakeExecutor()
    assert len(study("lr", again).rows) == 8 and len(again.runs) == 6


def test_ctrl_c_while_runs_are_awaited_keeps_what_is_finished(monkeypatch):
    def interrupted(futures):
        yield next(iter(futures))
        raise KeyboardInterrupt

    monkeypatch.setattr("numasync.tools.studies.execution.as_completed", interrupted)
    played = play_waves([runs("lr", algos="a3c", runs=3)], final_score, FakeExecutor())
    assert [next(played)[0]["seed"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        next(played)


@pytest.mark.compiled
def test_a_run_is_scored_with_its_final_parameters():
    (run, *_) = runs("lr", algos="a3c", steps=400, workers=2, seed=3)
    (row,) = final_score(run)
    options = dict(lr=run["lr"], steps=400, workers=2, seed=3, deterministic=True)
    result = numasync.train("CartPole-v1", "a3c", **options).result
    assert row["score"] == result["evaluation"]["mean"] and result["evaluation"]["episodes"] == 100
    assert row["steps"] == result["steps"] and row["training"] == result["training"]["mean"] and row["wall_s"] >= 0
    assert {**row, "wall_s": 0} == {**final_score(run)[0], "wall_s": 0}, "it repeats"


@pytest.mark.compiled
@pytest.mark.parametrize("workers", [1, 3])
def test_a_curve_in_turns_repeats_and_goes_from_the_start_to_the_end(workers):
    (run,) = [r for r in runs("threads", algos="nstep_q", runs=1, steps=2000) if r["workers"] == 4]
    run["workers"] = workers
    rows, again = learning_curve(run), learning_curve(run)
    for row in rows + again:
        row.pop("seconds")
    assert rows == again
    steps = [row["steps"] for row in rows]
    assert steps[0] == 0 and steps == sorted(set(steps)) and 2000 <= steps[-1] < 2000 + 5 * workers
    assert len(rows) == LOOKS + 1 and [row["left"] for row in rows] == list(range(LOOKS, -1, -1))
    assert np.diff(steps) == pytest.approx(2000 / LOOKS, abs=5 * workers)
    agent = numasync.train("CartPole-v1", steps=2000, workers=workers, deterministic=True, lr=run["lr"])
    assert score_of(agent, agent.theta) == rows[-1]["score"], "the parameters of an ordinary run"


@pytest.mark.compiled
def test_a_curve_of_threads_has_seconds_that_grow():
    (run,) = [
        r for r in runs("threads", algos="a3c", runs=1, steps=20_000) if (r["workers"], r["mode"]) == (2, THREADS)
    ]
    rows = learning_curve(run)
    seconds = [row["seconds"] for row in rows]
    assert seconds[0] == 0 and seconds == sorted(seconds) and seconds[-1] > 0
    assert rows[-1]["left"] == 0 and 20_000 <= rows[-1]["steps"] < 20_100


def diverging(*_, **__):
    raise NotFiniteError("The loss became NaN.")


def test_a_run_that_diverges_is_a_result_without_a_score(study, tmp_path, monkeypatch):
    monkeypatch.setattr(studies.runs, "train", diverging)
    (run, *_) = runs("lr", algos="a3c")
    assert all(isnan(value) for value in final_score(run)[0].values())

    class Diverging(FakeExecutor):
        def submit(self, function, run):
            future = super().submit(function, run)
            if run["seed"] == 2:
                future = Future()
                future.set_result(final_score(run))
            return future

    rows = study("lr", Diverging()).rows
    assert [row["seed"] for row in rows if isnan(row["score"])] == [2, 2]
    assert text(tmp_path).count(",2,turns,2,,,,\n") == 2
    again = FakeExecutor()
    assert len(study("lr", again).rows) == 8 and not again.runs, "it is not tried again"


@pytest.mark.compiled
def test_a_curve_that_diverges_ends_without_a_score(monkeypatch):
    (run,) = [r for r in runs("threads", algos="a3c", runs=1, steps=2000) if (r["workers"], r["mode"]) == (2, TURNS)]

    def broken(supervisor):
        trainer = supervisor.trainer
        trainer.build()
        trainer.copies.append((80, 0.1, np.full_like(trainer.theta, nan)))
        raise NotFiniteError("A parameter became NaN.")

    monkeypatch.setattr(studies.runs.Supervisor, "run", broken)
    first, last = learning_curve(run)
    assert first["steps"] == 0 and first["score"] > 0 and first["left"] == 1
    assert isnan(last["score"]) and last["left"] == 0


def test_an_interrupted_run_is_no_result(monkeypatch):
    class Agent:
        result = {"interrupted": True}

    monkeypatch.setattr(studies.runs, "train", lambda **_: Agent)
    with pytest.raises(KeyboardInterrupt):
        final_score(runs("lr", algos="a3c")[0])
