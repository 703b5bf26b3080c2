"""What the folder of a run keeps beside its records: why the run failed, and what made it."""

import errno
import json

import pytest
from support.scripted import ID, LAYERS, fails_at, plain, register
from support.text import is_one_sentence

import numasync
from numasync import InputError, NotFiniteError, WorkerError
from numasync.config import make_config
from numasync.errors import EvaluationError, TroubleWarning
from numasync.runtime.machine import made_by
from numasync.training import supervisor
from numasync.training import train as train_module
from numasync.training.records import RunFolder, read_run
from numasync.training.report import Report

SHORT = dict(network=LAYERS, steps=20_000, workers=2, seed=3, final_eval_episodes=4)
CONFIG = make_config("classic", env="CartPole-v1")


@pytest.fixture
def scripted(monkeypatch):
    """Registers ID with a script."""
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    return lambda script=plain: register(script, monkeypatch)


def not_finite(number, n):
    return 0.1, float("nan") if n == 50 else 1.0


def fails_in_evaluation(number, n):
    """Instance 0 is asked for its spaces, 1 and 2 are the workers'."""
    if number > 2:
        raise ZeroDivisionError("the pole broke")
    return plain(number, n)


# --- Why a run failed


@pytest.mark.parametrize(
    "script, kind, says",
    [
        (fails_at(50), WorkerError, "Worker 0 failed with ZeroDivisionError: the pole broke."),
        (not_finite, WorkerError, "Worker "),
        (fails_in_evaluation, EvaluationError, "An evaluation failed with ZeroDivisionError: the pole broke ("),
    ],
)
def test_a_run_that_fails_says_why_in_its_folder(scripted, tmp_path, script, kind, says):
    scripted(script)
    with pytest.raises(kind) as caught:
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    failure = read_run(tmp_path / "run").failure
    assert list(failure) == ["error", "steps"] and failure["error"] == str(caught.value)
    assert failure["error"].startswith(says) and is_one_sentence(failure["error"].replace(".py, line", ""))
    assert (failure["steps"] >= 20_000) == (kind is EvaluationError) and failure["steps"] > 0


def test_a_run_that_diverges_says_so_in_its_folder(tmp_path):
    options = dict(lr=1e30, clip_norm=0.0, algo="one_step_q", steps=10**8, workers=1)
    with pytest.raises(NotFiniteError) as caught:
        numasync.train("CartPole-v1", out=tmp_path / "run", **options)
    run = read_run(tmp_path / "run")
    assert run.failure["error"] == str(caught.value) and 0 < run.failure["steps"] < 10**8 and run.result is None


def test_an_error_of_any_kind_during_training_is_a_failure_with_its_place(scripted, monkeypatch, tmp_path):
    scripted()

    class Breaks(Report):
        def print_progress(self, progress):
            raise LookupError("two\nlines")

    monkeypatch.setattr(train_module, "Report", Breaks)
    with pytest.raises(LookupError):
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    error = read_run(tmp_path / "run").failure["error"]
    assert error.startswith("The run failed with LookupError: two lines (test_failure.py, line ")


def test_a_run_that_ends_well_or_by_ctrl_c_has_no_failure(scripted, monkeypatch, tmp_path):
    scripted()
    numasync.train(ID, out=tmp_path / "well", **SHORT)

    class Interrupts(Report):
        def print_progress(self, progress):
            if progress.steps > 100:
                raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "Report", Interrupts)
    numasync.train(ID, out=tmp_path / "stopped", **{**SHORT, "steps": 10**9})
    for name, interrupted in (("well", False), ("stopped", True)):
        run = read_run(tmp_path / name)
        assert run.failure is None and run.result["interrupted"] is interrupted


def test_a_run_that_could_not_begin_leaves_no_folder(scripted, monkeypatch, tmp_path):
    scripted()

    def refuses(*_):
        raise InputError("This system has too few threads.")

    monkeypatch.setattr(supervisor.Supervisor, "run", refuses)
    with pytest.raises(InputError, match="too few threads"):
        numasync.train(ID, out=tmp_path / "runs" / "run", **SHORT)
    assert not list(tmp_path.iterdir())


def test_a_failure_that_cannot_be_written_costs_one_sentence(scripted, monkeypatch, tmp_path):
    scripted(fails_at(50))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_failure", full)
    with pytest.raises(WorkerError, match="the pole broke"), pytest.warns(TroubleWarning, match="No space") as caught:
        numasync.train(ID, out=tmp_path / "run", **SHORT)
    assert [warning.category for warning in caught].count(TroubleWarning) == 1
    assert not (tmp_path / "run" / "failure.json").exists()


def test_the_run_that_takes_a_folder_again_does_not_find_an_old_failure(tmp_path):
    first = RunFolder(tmp_path / "run", CONFIG)
    first.write_failure("The disk is full.", 0)
    first.close()
    again = RunFolder(tmp_path / "run", CONFIG)
    assert [path.name for path in again.path.iterdir()] == ["config.json"] and read_run(again.path).failure is None


# --- What made a run


def test_the_options_and_the_result_name_what_made_them(scripted, tmp_path):
    scripted()
    agent = numasync.train(ID, out=tmp_path / "run", **SHORT)
    for name in ("config.json", "result.json"):
        assert json.loads((tmp_path / "run" / name).read_text())["made_by"] == made_by()
    run = read_run(tmp_path / "run")
    assert "made_by" not in run.config and run.result == agent.result
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").result == agent.result


def test_a_folder_that_is_made_again_names_what_made_it(tmp_path):
    folder = RunFolder(tmp_path / "run", CONFIG)
    before = (tmp_path / "run" / "config.json").read_text()
    (tmp_path / "run" / "config.json").unlink()
    (tmp_path / "run").rmdir()
    folder.make_again()
    assert (tmp_path / "run" / "config.json").read_text() == before and "made_by" in before
