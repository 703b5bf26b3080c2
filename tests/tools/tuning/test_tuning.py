"""Tunings: they keep their trials, go on, prune, and come through what fails."""

import csv
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from math import nan

import pytest

import numasync
from numasync import InputError, WorkerError
from numasync.tools.run_list import list_runs
from numasync.tools.tuning import storage as storage_module
from numasync.tools.tuning.plan import SEED, make_settings
from numasync.tools.tuning.storage import Storage, lock_of
from numasync.tools.tuning.trial import PrunableRun
from numasync.training.display import Silent
from numasync.training.records import RunFolder
from numasync.training.report import Report
from numasync.training.train import make_agent


def read_table(folder):
    with open(folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_trial_is_the_result(tune, fake_run):
    done = tune(trials=4)
    scores = [trial["score"] for trial in done.trials]
    assert [trial["number"] for trial in done.trials] == [0, 1, 2, 3]
    assert done.score == max(scores) == pytest.approx(1000 * done.best["lr"])
    assert [seed for _, seed in fake_run.played] == [SEED, SEED + 1, SEED + 2, SEED + 3]
    best = json.loads((done.folder / "best.json").read_text())
    about = best.pop("made_by")
    assert best == done.best and (about["trial"], about["score"]) == (scores.index(max(scores)), max(scores))
    rows = read_table(done.folder)
    assert [float(row["score"]) for row in rows] == scores and [row["steps"] for row in rows] == ["1000"] * 4
    assert [float(row["lr"]) for row in rows] == [lr for lr, _ in fake_run.played]


def test_the_same_call_goes_on_and_trials_counts_all(tune, fake_run):
    first = tune(trials=3)
    assert len(fake_run.played) == 3
    assert tune(trials=3).trials == first.trials and len(fake_run.played) == 3
    more = tune(trials=4)
    assert len(fake_run.played) == 4 and more.trials[:3] == first.trials
    assert tune(trials=2).trials == more.trials, "nothing is taken away"


def test_a_trial_has_the_callbacks_of_its_options(tune, fake_run):
    tune(trials=1, stop_at=0.5, max_minutes=3.0)
    assert fake_run.followed == ["StopAtScore", "StopAfterMinutes"]


def test_a_tuning_repeats(tune, fake_run, tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "RANDOM_TRIALS", 2)
    tune(trials=5)
    first, fake_run.played[:] = list(fake_run.played), []
    tune(trials=3, out=tmp_path / "again")
    tune(trials=5, out=tmp_path / "again")
    assert fake_run.played == first, "also where it was stopped"
    fake_run.played.clear()
    tune(trials=1, out=tmp_path / "other", seed=7)
    assert fake_run.played[0][1] == 7 and fake_run.played[0][0] != first[0][0]


def test_a_bad_trial_is_pruned_after_the_first_ones(tune, monkeypatch):
    monkeypatch.setattr(storage_module, "UNPRUNED_TRIALS", 2)
    done = tune(trials=6)
    ends = [trial["end"] for trial in done.trials]
    assert set(ends) == {"finished", "pruned"} and set(ends[:2]) == {"finished"}
    for trial in done.trials:
        assert (trial["steps"] == 1000) == (trial["end"] == "finished")
        assert trial["steps"] >= 300, "nothing is pruned in the first part of a run"
    assert done.trials[ends.index("pruned")]["score"] < done.score


def play_real_trial(folder, on_evaluation):
    """Train on Catch, with an evaluation every 1000 steps, as a trial does. Return the row of `numasync runs`."""
    agent = make_agent(env="Catch-v0", algo="a3c", steps=3000, eval_every=1000, workers=1, deterministic=True)
    with closing(RunFolder(folder, agent.config)) as own:
        run = PrunableRun(agent, own, Report(agent.config, own.checkpoint, Silent()))
        run.on_evaluation = on_evaluation
        with pytest.raises(WorkerError):
            run.run()
    (row,) = list_runs([folder])
    return row


@pytest.mark.compiled
def test_the_folder_of_a_pruned_trial_says_so_and_how_far_it_came(tmp_path):
    row = play_real_trial(tmp_path / "run", lambda steps, score: True)
    assert (row.state, row.trouble, row.score_of) == ("pruned", None, "best") and 1000 <= row.steps < 3000
    assert re.fullmatch(r"The trial was pruned after 10\d\d steps, because others score higher there\.", row.stopped_by)
    assert not (tmp_path / "run" / "failure.json").exists()


@pytest.mark.compiled
def test_the_folder_of_a_trial_that_fails_says_so(tmp_path):
    def fails(steps, score):
        raise WorkerError("The database is gone.")

    row = play_real_trial(tmp_path / "run", fails)
    assert (row.state, row.trouble, row.stopped_by) == ("failed", "The database is gone.", None)


def test_a_run_that_diverges_is_a_trial_without_a_score(tune, fake_run, monkeypatch):
    monkeypatch.setattr(fake_run, "diverges", staticmethod(lambda lr: lr > 1e-3))
    done = tune(trials=4)
    ends = {trial["end"]: trial["score"] for trial in done.trials}
    assert ends["diverged"] != ends["diverged"] and ends["finished"] == ends["finished"]
    assert len(done.trials) == 4 and done.best["lr"] <= 1e-3


def test_without_a_trial_that_finishes_there_is_no_best_one(tune, fake_run, monkeypatch, capsys):
    monkeypatch.setattr(fake_run, "diverges", staticmethod(lambda lr: True))
    done = tune(trials=2, verbose=True)
    assert (done.best, done.score) == (None, None) and not (done.folder / "best.json").exists()
    assert "No trial has finished" in capsys.readouterr().out


def test_a_trial_that_fails_ends_the_tuning_and_does_not_count(tune, fake_run, monkeypatch):
    tune(trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(fake_run, "fault", WorkerError("Worker 0 failed."))
        with pytest.raises(WorkerError, match="Worker 0 failed"):
            tune(trials=2)
    done = tune(trials=2)
    assert [trial["end"] for trial in done.trials] == ["finished"] * 2


@pytest.fixture
def storage(tmp_path, hasty_database):
    """A storage of a tuning that has not begun."""
    (tmp_path / "tuning").mkdir()
    return Storage(tmp_path / "tuning", make_settings("Catch-v0", "a3c", steps=1000))


def test_a_trial_of_a_dead_process_is_played_again_and_counts_once(storage):
    dead, alive = storage.claim(9), storage.claim(9)
    os.close(dead._handle)  # as the system does when a process ends
    again = storage.claim(9)
    assert again.options == dead.options and again.folder != dead.folder
    assert not lock_of(dead.folder).exists() and lock_of(alive.folder).exists()
    for claim in (again, alive):
        storage.finish(claim, "finished", 1.0, 1000, 2.0)
        claim.close()
    assert [row.options["seed"] for row in storage.rows()] == [alive.options["seed"], dead.options["seed"]]
    assert storage.claim(2) is None


def test_a_trial_that_is_played_now_is_not_taken_twice(storage):
    first = storage.claim(2)
    other = Storage(storage.folder, storage.settings)
    second = other.claim(2)
    assert second.options != first.options and other.claim(2) is None and storage.claim(2) is None
    for claim in (first, second):
        claim.close()


def test_a_trial_does_not_end_while_another_process_looks_for_dead_ones(storage):
    claim = storage.claim(1)
    other = Storage(storage.folder, storage.settings)
    with ThreadPoolExecutor(1) as pool:
        with storage._alone():
            ending = pool.submit(other.finish, claim, "finished", 1.0, 1000, 2.0)
            assert not wait([ending], 0.5).done and storage.rows() == []
        assert ending.result().score == 1.0
    claim.close()


def test_a_process_that_dies_before_its_trial_has_options_loses_nothing(storage):
    storage.study.ask()
    claim = storage.claim(1)
    assert claim is not None and storage.claim(1) is None
    claim.close()


def test_other_settings_are_refused(tune, tmp_path):
    tune(trials=1)
    with pytest.raises(InputError, match=r"holds a tuning with other settings \(steps is 1000 there, 2000 here.*--out"):
        tune(trials=1, steps=2000)
    with pytest.raises(InputError, match="other settings"):
        tune(trials=1, lr=0.001)
    (tmp_path / "tuning" / "trials.db").write_text("no database")
    with pytest.raises(InputError, match=r"trials\.db is damaged, or no database of a tuning"):
        tune(trials=2)


def test_without_optuna_nothing_is_written(tune, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r'Tuning needs Optuna; pip install "numasync\[tune\]" installs it\.'):
        tune()
    assert not list(tmp_path.iterdir())


def test_a_tuning_says_how_far_it_is(tune, capsys):
    tune(trials=3)
    tune(trials=5, verbose=True)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("Tuning lr, t_max, clip_norm, rms_eps, beta of a3c on Catch-v0, 1,000 steps a trial: ")
    assert lines[0].endswith("5 trials, 3 are played already; the first ones compile ...")
    assert re.search(
        r"^     4 of 5 trials \( 80%\)  \d:\d\d left  best [\d.]+  trial [34]: finished [\d.]+, lr 0", out, re.M
    )
    table = lines.index(next(line for line in lines if line.startswith("trial  score")))
    assert len(lines[table + 1 :]) == 5 + 2
    assert lines[-2].startswith("The best trial again: numasync train --config ") and lines[-1].endswith(" --seed 1")


def test_an_unknown_option_is_corrected():
    with pytest.raises(InputError, match="'learning_rate' is no option of a run; you may mean lr"):
        numasync.tune("CartPole-v1", learning_rate=0.1)


def test_a_missing_score_is_an_empty_cell(tune, fake_run, monkeypatch):
    monkeypatch.setattr(fake_run, "diverges", staticmethod(lambda lr: True))
    done = tune(trials=1)
    assert read_table(done.folder)[0]["score"] == "" and str(done.trials[0]["score"]) == str(nan)
