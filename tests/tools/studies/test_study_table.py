"""What a study keeps: its table and its settings, how it continues after a stop, and what it refuses to continue."""

import csv
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.folders import contents
from support.studies import PLAYED, SMALL, FakeExecutor, runs, text

import numasync
from numasync import InputError
from numasync.tools.studies.plan import STUDIES, TURNS
from numasync.tools.studies.table import POINT_COLUMNS, RUN_COLUMNS, Table, identity


def test_a_table_has_a_line_a_run(study, tmp_path):
    found = study("lr")
    assert found.folder == tmp_path / "study" and len(found.rows) == 8
    with open(found.folder / "runs.csv") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(RUN_COLUMNS) and len(table) == 8
    (first,) = [row for row in table if (row["algo"], row["seed"]) == ("nstep_q", "1")]
    assert (first["study"], first["env"], first["algo"]) == ("lr", "CartPole-v1", "nstep_q")
    assert (first["workers"], first["seed"], first["steps"], first["wall_s"]) == ("2", "1", "100", "1.5")
    assert float(first["score"]) == pytest.approx(1000 * float(first["lr"])) and "nan" not in text(tmp_path)
    assert json.loads(text(tmp_path, "study.json"))["presets"]["a3c"]["workers"] == 2


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_goes_on_where_it_was_stopped(study, name):
    whole = FakeExecutor()
    before = study(name, whole).rows
    again = FakeExecutor()
    assert study(name, again).rows == before and not again.runs, "a finished study plays nothing"


class Stopping(ThreadPoolExecutor):
    """A thread that finishes `count` runs; then there is a Ctrl-C."""

    def __init__(self, count):
        super().__init__(1)
        self.count, self.finished = count, []

    def submit(self, function, run):
        return super().submit(self.play, function, run)

    def play(self, function, run):
        if len(self.finished) == self.count:
            time.sleep(0.3)
            raise KeyboardInterrupt
        self.finished.append(run)
        return PLAYED[function](run, 1.0)


def without_workers(name):
    return {key: value for key, value in SMALL.items() if name != "threads" or key != "workers"}


@pytest.mark.parametrize("name", STUDIES)
def test_after_ctrl_c_no_finished_run_is_repeated(study, tmp_path, name):
    stopped = Stopping(3)
    with pytest.raises(KeyboardInterrupt):
        study(name, stopped)
    table = text(tmp_path, "points.csv" if name == "threads" else "runs.csv")
    assert len(table.splitlines()) == 1 + 3 * (5 if name == "threads" else 1)
    rest = FakeExecutor()
    rows = study(name, rest).rows
    played = [identity(run) for run in stopped.finished + rest.runs]
    assert sorted(played) == sorted(identity(run) for run in runs(name, **without_workers(name)))
    assert {identity(row) for row in rows} == set(played)


def test_a_table_may_be_cut_anywhere(study, tmp_path, undrawn):
    study("lr")
    whole = text(tmp_path)
    for cut in range(0, len(whole), 17):
        (tmp_path / "study" / "runs.csv").write_text(whole[:cut])
        rest = FakeExecutor()
        study("lr", rest)
        assert len(rest.runs) == 8 - max(whole[:cut].count("\n") - 1, 0)
        assert sorted(text(tmp_path).splitlines()) == sorted(whole.splitlines())


def test_half_a_curve_is_dropped_and_played_again(study, tmp_path, undrawn):
    study("threads", runs=1, algos="a3c")
    path = tmp_path / "study" / "points.csv"
    whole = path.read_text()
    for lines in (1 + 5 + 1, 1 + 5 + 4, 1 + 10):
        path.write_text("".join(whole.splitlines(keepends=True)[:lines]) + "threads,Cart")
        rest = FakeExecutor()
        study("threads", rest, runs=1, algos="a3c")
        assert len(rest.runs) == 7 - (lines - 1) // 5
        assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("name, table", [("lr", "runs.csv"), ("threads", "points.csv")])
def test_what_two_programs_have_played_counts_once(study, tmp_path, undrawn, name, table):
    rows = study(name, runs=1, algos="a3c").rows
    path = tmp_path / "study" / table
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *lines, *lines]))
    again = FakeExecutor()
    assert study(name, again, runs=1, algos="a3c").rows == rows and not again.runs
    assert path.read_text() == "".join([head, *lines])


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(runs=5), "runs is 4 there, 5 here"),
        (dict(seed=2), "seed is 1 there, 2 here"),
        (dict(lr_low=1e-3), "lr_low is 0.0001 there, 0.001 here"),
        (dict(steps=200), "steps is 100 there, 200 here"),
        (dict(workers=3), "workers is 2 there, 3 here"),
        (dict(env="Catch-v0"), "env is CartPole-v1 there, Catch-v0 here"),
        (dict(algos="a3c"), "nstep_q only there"),
        (dict(name="optimizers"), "study is lr there, optimizers here"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(study, tmp_path, undrawn, change, says):
    study("lr")
    before = contents(tmp_path)
    fake = FakeExecutor()
    with pytest.raises(InputError) as error:
        study(**{"name": "lr", "executor": fake, **change})
    assert says in str(error.value) and re.fullmatch(r"\S[^\n]+\)?; give another --out\.", str(error.value))
    assert contents(tmp_path) == before and not fake.runs


def test_seconds_of_another_machine_are_not_mixed_in(study, monkeypatch):
    study("threads", algos="a3c", runs=1)
    monkeypatch.setattr("numasync.tools.studies.plan.cores", lambda: 8)
    with pytest.raises(InputError, match="cores is 2 there, 8 here"):
        study("threads", algos="a3c", runs=1)


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda whole: "a,b\n" + whole, "runs.csv does not begin with the columns study,env"),
        (lambda whole: whole.replace("shared_rmsprop,", "shared_rmsprop,x", 1), "Line 2 of .+runs.csv is damaged"),
        (lambda whole: whole + "lr,CartPole-v1\n", "Line 10 of .+runs.csv is damaged"),
    ],
)
def test_a_damaged_table_is_refused_in_one_sentence(study, tmp_path, damage, says):
    study("lr")
    (tmp_path / "study" / "runs.csv").write_text(damage(text(tmp_path)))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=says):
        study("lr")
    assert contents(tmp_path) == before


def test_damaged_settings_and_other_folders_are_refused(study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{")
    with pytest.raises(InputError, match=r"study.json is damaged; give another --out\.$"):
        study("lr")
    (tmp_path / "study" / "study.json").rename(tmp_path / "study" / "precious")
    with pytest.raises(InputError, match="already exists and is not empty"):
        study("lr")


def test_a_table_keeps_every_digit_that_tells_runs_apart(tmp_path):
    table = Table(tmp_path / "points.csv", POINT_COLUMNS)
    run = dict(
        study="threads", env="E", algo="a3c", optimizer="rmsprop", lr=7e-4, workers=1, mode=TURNS, seed=2**53 - 9
    )
    table.add(run, [dict(steps=5, seconds=0.25, score=-1.5, left=0)])
    again = Table(tmp_path / "points.csv", POINT_COLUMNS)
    assert again.has(run) and again.rows == table.rows and not again.has({**run, "seed": 2**53 - 8})


def test_nothing_is_printed_unless_asked_for(study, capsys):
    study("lr")
    assert capsys.readouterr().out == ""


def test_the_default_folder_has_the_name_of_the_study_and_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = numasync.study("lr", "MinAtar/Breakout-v1", executor=FakeExecutor(), runs=1)
    assert str(found.folder) == os.path.join("studies", "lr-MinAtar-Breakout-v1") and found.folder.is_dir()
