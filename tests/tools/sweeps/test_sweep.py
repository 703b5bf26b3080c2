"""A sweep: its grid, its runs, its folder, its table."""

import json
import pickle
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.folders import contents

import numasync
from numasync import InputError
from numasync.cli import main
from numasync.distributed.on_node import FOLDER
from numasync.tools.sweeps.plan import NAME, check_grid, make_runs

GRID = {"env": ["CartPole-v1", "Catch-v0"], "algo": "a3c", "seed": [1, 2], "lr": [0.001, 0.01], "steps": 100}


class FakeExecutor:
    """Plays nothing. The score of a run is its learning rate, and with the rate `fails` it fails."""

    def __init__(self, fails=None):
        self.fails, self.runs = fails, []

    def submit(self, function, run):
        pickle.loads(pickle.dumps((function, run)))
        self.runs.append(run)
        future = Future()
        lr = run["options"]["lr"]
        if lr == self.fails:
            future.set_exception(numasync.WorkerError("The environment failed."))
        else:
            future.set_result([{"steps": 100, "score": lr, "training": float("nan"), "wall_s": 0.5}])
        return future


def test_a_sweep_has_every_combination_and_one_seed_after_the_other():
    runs = make_runs(check_grid(GRID))
    assert len(runs) == 8
    assert [run[NAME] for run in runs[:3]] == [
        "CartPole-v1-a3c-seed1-lr0.001",
        "CartPole-v1-a3c-seed1-lr0.01",
        "Catch-v0-a3c-seed1-lr0.001",
    ]
    assert [run["options"]["seed"] for run in runs] == [1] * 4 + [2] * 4


def test_a_value_that_comes_twice_is_one_run():
    assert len(make_runs(check_grid({"seed": [1, 1, 2]}))) == 2


def test_the_layers_of_a_network_are_one_value():
    layers = [{"kind": "dense", "sizes": [8]}, {"kind": "relu", "sizes": []}]
    assert len(make_runs(check_grid({"network": layers}))) == 1
    assert len(make_runs(check_grid({"network": [layers, "mlp"]}))) == 2


def test_runs_take_turns_of_workers_unless_the_grid_says_otherwise():
    assert check_grid({})["deterministic"] is True
    assert check_grid({"deterministic": False})["deterministic"] is False


@pytest.mark.parametrize(
    "grid, sentence",
    [
        ({"lr": [0.1, -1]}, "lr is -1"),
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"seed": []}, "seed is an empty list; a grid needs a value, or a list of values to try."),
        ({"env": "Nope-v0"}, "Nope-v0"),
        ({"algo": ["a3c", "nope"]}, "nope"),
        ({"seed": list(range(400)), "lr": [1 / i for i in range(1, 400)]}, "The grid has 159,600 runs"),
        (3, "The grid is 3; it must hold options of a run by their names."),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_is_written(grid, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        numasync.sweep(grid, out=tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_the_table_has_a_line_for_each_run_in_the_order_of_the_grid(tmp_path):
    found = numasync.sweep(GRID, out=tmp_path / "sweep", executor=FakeExecutor())
    lines = (tmp_path / "sweep" / "runs.csv").read_text().splitlines()
    assert lines[0] == "run,env,algo,seed,lr,steps,score,training,wall_s"
    assert lines[1] == "CartPole-v1-a3c-seed1-lr0.001,CartPole-v1,a3c,1,0.001,100,0.001,,0.5"
    assert len(lines) == 9 and len(found.rows) == 8 and found.rows[0]["score"] == 0.001


def test_a_sweep_that_was_stopped_goes_on_and_plays_nothing_twice(tmp_path):
    with pytest.raises(numasync.WorkerError):
        numasync.sweep(GRID, out=tmp_path / "sweep", executor=FakeExecutor(fails=0.01))
    table = tmp_path / "sweep" / "runs.csv"
    kept = table.read_text().count("\n") - 1 if table.exists() else 0  # futures that are done come in any order
    executor = FakeExecutor()
    found = numasync.sweep(GRID, out=tmp_path / "sweep", executor=executor)
    assert kept < 8 and len(executor.runs) == 8 - kept and len(found.rows) == 8


def test_another_sweep_in_the_same_folder_is_refused(tmp_path):
    numasync.sweep(GRID, out=tmp_path / "sweep", executor=FakeExecutor())
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"holds a sweep with other settings \(steps is 100 there, 200 here\)"):
        numasync.sweep({**GRID, "steps": 200}, out=tmp_path / "sweep", executor=FakeExecutor())
    assert contents(tmp_path) == before


def test_every_run_has_a_folder_of_its_own(tmp_path):
    executor = FakeExecutor()
    numasync.sweep(GRID, out=tmp_path / "sweep", executor=executor)
    folders = {Path(run[FOLDER]) for run in executor.runs}
    assert len(folders) == 8 and {folder.parent for folder in folders} == {tmp_path / "sweep" / "runs"}


def test_a_file_must_not_decide_what_code_runs(tmp_path, capsys):
    (tmp_path / "grid.json").write_text(json.dumps({"env": ["CartPole-v1", "os:system"]}))
    assert main(["sweep", str(tmp_path / "grid.json"), "--out", str(tmp_path / "sweep")]) == 2
    assert "names the environment os:system, which can be a function" in capsys.readouterr().err


@pytest.mark.compiled
def test_the_command_plays_a_sweep_and_a_run_goes_on_where_it_was_stopped(tmp_path, capsys):
    (tmp_path / "grid.json").write_text(
        '{"env": "CartPole-v1", "algo": "a3c", "seed": [1, 2], "steps": 500, "workers": 2, "final_eval_episodes": 3}'
    )
    words = ["sweep", str(tmp_path / "grid.json"), "--jobs", "1", "--out", str(tmp_path / "sweep")]
    assert main(words) == 0
    assert "2 runs in" in capsys.readouterr().out
    table = tmp_path / "sweep" / "runs.csv"
    whole = table.read_text()
    # As if the program had been killed before it added the second run, and within the first one.
    table.unlink()
    run = tmp_path / "sweep" / "runs" / "CartPole-v1-a3c-seed1"
    (run / "result.json").unlink()
    second = tmp_path / "sweep" / "runs" / "CartPole-v1-a3c-seed2" / "result.json"
    before = second.stat().st_mtime_ns
    assert main(words) == 0
    assert second.stat().st_mtime_ns == before
    assert [line.split(",")[:6] for line in table.read_text().split()] == [
        line.split(",")[:6] for line in whole.split()
    ]
