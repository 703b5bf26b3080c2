"""The list of runs: which folders are runs, how each stands, what it has scored, and in which order they come."""

import json
import os
import time
from datetime import datetime, timezone

import pytest
from support.text import is_one_sentence

from numasync import InputError
from numasync.config import make_config
from numasync.errors import TroubleWarning
from numasync.runtime import files
from numasync.tools.run_list import COLUMNS, DEEPEST, STATES, RunRow, list_runs, sort_rows
from numasync.tools.run_table import row_json, run_table
from numasync.training.progress import Progress
from numasync.training.records import RunFolder
from numasync.training.run import make_result

SCORE = {"episodes": 10, "mean": 7.5, "std": 0.5, "min": -1.0, "max": 9.0}


@pytest.fixture
def begin(tmp_path):
    """Makes the folder of a run, which is held until the test ends or `close` is called."""
    folders = []

    def make(path, **options):
        config = make_config("classic", **{"env": "CartPole-v1", "steps": 9000, **options})
        folders.append(RunFolder(tmp_path / path, config))
        return folders[-1]

    yield make
    for folder in folders:
        folder.close()


def end(folder, evaluation=SCORE, interrupted=False, **more):
    """Write the result of a run as it does itself, and let go of its folder. more: what the result has beside that."""
    progress = Progress(steps=9001, max_steps=9000, seconds=12.5, episodes=3, returns=[1.0, 2.0, 6.0])
    folder.write_result({**make_result(folder.config, progress, evaluation, interrupted), **more})
    folder.close()


def only(*folders, **filters):
    (row,) = list_runs(folders, **filters)
    return row


# --- What is listed


def test_a_run_that_has_ended_is_listed_with_all_that_is_known(begin, tmp_path):
    folder = begin("run", algo="a3c", seed=7)
    folder.add_episodes([(4.0, 5, 11.0, 8000)])
    end(folder)
    row = only(tmp_path / "run")
    assert abs(row.started.timestamp() - (time.time() - 11.0)) < 60
    expected = RunRow(
        folder=str(tmp_path / "run"),
        algorithm="a3c",
        environment="CartPole-v1",
        seed=7,
        state="finished",
        steps=9001,
        planned=9000,
        score=7.5,
        score_of="final",
        seconds=12.5,
        started=row.started,
        trouble=None,
    )
    assert row == expected


def test_runs_are_found_in_the_folder_and_below_but_not_in_a_run(begin, tmp_path):
    deep = "/".join("abcdefgh"[:DEEPEST])
    for path in ("runs/one", "runs/two/inside", f"runs/{deep}", f"runs/{deep}/x/too_deep", "runs/one/in_a_run"):
        begin(path).close() if not path.endswith("in_a_run") else (tmp_path / path).mkdir()
    (tmp_path / "runs" / "one" / "in_a_run" / "config.json").write_text("{}")
    (tmp_path / "runs" / "notes.txt").write_text("no run")
    found = [os.path.relpath(row.folder, tmp_path) for row in list_runs([tmp_path / "runs"])]
    assert found == [f"runs/{deep}", "runs/one", "runs/two/inside"]


def test_a_run_below_the_deepest_folder_is_not_found(begin, tmp_path):
    begin("/".join(["runs", *"abcde"[: DEEPEST + 1]])).close()
    assert list_runs([tmp_path / "runs"]) == []


def test_a_run_is_listed_once_also_through_links(begin, tmp_path):
    begin("runs/one").close()
    (tmp_path / "runs" / "link").symlink_to("one")
    (tmp_path / "runs" / "loop").symlink_to(".")
    rows = list_runs([tmp_path / "runs", tmp_path / "runs" / "one"])
    assert [os.path.realpath(row.folder) for row in rows] == [str(tmp_path / "runs" / "one")]


@pytest.mark.parametrize("path", ["missing", "file", "n" * 300])
def test_a_folder_that_is_none_is_refused(tmp_path, path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="^There is no folder .+; name a folder of runs, or the folder of a run.$"):
        list_runs([tmp_path / path])


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can read every folder")
def test_a_folder_that_cannot_be_read_is_a_warning(begin, tmp_path):
    begin("runs/one").close()
    (tmp_path / "runs" / "closed").mkdir(mode=0)
    with pytest.warns(TroubleWarning, match="closed cannot be read: Permission denied; its runs are not listed"):
        assert len(list_runs([tmp_path / "runs"])) == 1


# --- How a run stands


def test_the_states_of_runs(begin, tmp_path):
    begin("running")
    begin("killed").close()
    end(begin("finished"))
    end(begin("stopped"), evaluation=None, interrupted=True)
    end(begin("pruned"), evaluation=None, interrupted=True, pruned=True)
    failed, evaluation_failed = begin("failed"), begin("evaluation_failed")
    failed.write_failure("The pole broke.", 40)
    failed.close()
    evaluation_failed.write_failure("The pole broke.", 9001)
    end(evaluation_failed, evaluation=None)
    rows = {os.path.basename(row.folder): row for row in list_runs([tmp_path])}
    assert {name: row.state for name, row in rows.items()} == {
        **{name: name for name in ("running", "finished", "stopped", "pruned", "failed", "killed")},
        "evaluation_failed": "failed",
    }
    assert rows["failed"].trouble == "The pole broke." and rows["failed"].steps == 40
    assert all(row.trouble is None for name, row in rows.items() if "failed" not in name)


def test_a_run_that_goes_on_stays_locked_and_a_free_one_stays_free(begin, tmp_path):
    run = begin("run")
    assert [only(tmp_path).state for _ in range(3)] == ["running"] * 3
    run.close()
    assert [only(tmp_path).state for _ in range(3)] == ["killed"] * 3
    begin("run")  # the list holds no lock, so that a run can take the folder again
    assert only(tmp_path).state == "running"


def test_where_there_are_no_locks_a_run_without_a_result_is_unknown(begin, tmp_path, monkeypatch):
    begin("run").close()
    end(begin("ended"))
    monkeypatch.setattr(files, "fcntl", None)
    assert [row.state for row in list_runs([tmp_path])] == ["finished", "unknown"]


def test_a_run_that_ends_while_it_is_looked_at_is_not_taken_for_killed(begin, tmp_path, monkeypatch):
    run = begin("run")

    def ends(path):
        end(run)
        return False

    monkeypatch.setattr("numasync.tools.run_list.is_locked", ends)
    assert only(tmp_path).state == "finished"


# --- Steps, score and time of a run without a result


def test_a_run_that_goes_on_is_as_far_as_its_last_record(begin, tmp_path):
    run = begin("run")
    row = only(tmp_path)
    assert (row.steps, row.planned, row.score, row.score_of, row.seconds) == (0, 9000, None, None, None)
    run.add_episodes([(2.0, 5, 1.0, 10), (4.0, 5, 3.5, 20)])
    row = only(tmp_path)
    assert (row.steps, row.score, row.score_of, row.seconds) == (20, 3.0, "last 2", 3.5)
    run.add_evaluation(15, 2.0, {**SCORE, "mean": 9.5})
    run.add_evaluation(25, 4.0, SCORE)
    row = only(tmp_path)
    assert (row.steps, row.score, row.score_of, row.seconds) == (25, 9.5, "best", 4.0)


def test_the_last_100_episodes_of_a_long_monitor_are_averaged(begin, tmp_path):
    # Lines are as long as they get: -123456.789,108000,360000.25,8000000000.
    run = begin("run")
    run.add_episodes([(-123456.789, 108_000, 360_000.25, 8_000_000_000 + i) for i in range(3000)])
    run.add_episodes([(-100_000.125 - i, 108_000, 360_000.25, 9_000_000_000 + i) for i in range(100)])
    row = only(tmp_path)
    assert row.score == pytest.approx(-100_049.625) and row.steps == 9_000_000_099
    assert row.score_of == "last 100"


def test_a_stopped_run_has_the_score_of_its_episodes(begin, tmp_path):
    run = begin("run")
    run.add_episodes([(2.0, 5, 1.0, 10)])
    end(run, evaluation=None, interrupted=True)
    row = only(tmp_path)
    assert (row.steps, row.score, row.score_of, row.seconds) == (9001, 2.0, "last 1", 12.5)


# --- Runs of earlier versions, and damaged ones


def test_a_run_of_an_earlier_version_is_listed(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"algo": "nstep_q", "env": "Catch-v0", "decay": 0.9}))
    os.utime(tmp_path / "config.json", (1e9, 1e9))
    (tmp_path / "monitor.csv").write_text("#{}\nr,l,t,T\n1,2,3,4\n")
    result = {"steps": 50, "wall_s": 2.0, "interrupted": False, "evaluation": SCORE}
    (tmp_path / "result.json").write_text(json.dumps(result))
    row = only(tmp_path)
    assert (row.environment, row.seed, row.state, row.steps, row.score) == ("Catch-v0", 1, "finished", 50, 7.5)
    assert row.started == datetime.fromtimestamp(1e9, timezone.utc)


@pytest.mark.parametrize(
    "name, text",
    [
        ("config.json", ""),
        ("config.json", "[]"),
        ("config.json", "[" * 100_000),
        ("config.json", '{"algo": "a3c", "env": "x", "steps": "many"}'),
        ("config.json", '{"algo": "a3c", "env": "x", "seed": null}'),
        ("result.json", "{"),
        ("result.json", "[]"),
        ("result.json", '{"steps": "x", "evaluation": null}'),
        ("result.json", '{"steps": 5, "evaluation": {"mean": "x"}}'),
        ("result.json", '{"steps": 5, "evaluation": null, "wall_s": "x"}'),
        ("failure.json", "5"),
        ("failure.json", '{"error": 5, "steps": 5}'),
        ("failure.json", '{"error": "x"}'),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2,nan,inf\n"),
        ("evaluations.csv", "T,t,episodes,mean,std,min,max\n1,1,1,nan,1,1,1\n"),
        ("evaluations.csv", "\udcff"),
    ],
)
def test_a_damaged_run_is_listed_as_damaged_among_the_others(begin, tmp_path, name, text):
    begin("bad").close()
    end(begin("good"))
    (tmp_path / "bad" / name).write_bytes(text.encode(errors="surrogateescape"))
    bad, good = list_runs([tmp_path])
    assert (bad.state, good.state, bad.folder) == ("damaged", "finished", str(tmp_path / "bad"))
    assert bad.algorithm is bad.steps is bad.score is None and bad.started is not None
    assert bad.trouble and is_one_sentence(bad.trouble)
    assert [row.state for row in list_runs([tmp_path], states=["damaged"])] == ["damaged"]
    assert len(run_table([bad, good])) == 3 and json.dumps(row_json(bad))


@pytest.mark.parametrize("start", ['"x"', "NaN", "1e300", "-5", "null", "[" * 2000])
def test_a_start_that_is_no_time_is_the_time_of_the_folder(begin, tmp_path, start):
    run = begin("run")
    (run.path / "monitor.csv").write_text(f'#{{"t_start": {start}}}\nr,l,t,T\n')
    os.utime(run.path / "config.json", (1e9, 1e9))
    assert only(tmp_path).started.timestamp() == 1e9


# --- Filters and order


@pytest.fixture
def some(begin, tmp_path):
    """The folder of four runs: a and b have ended, c and d go on."""
    end(begin("a", algo="a3c", seed=2), {**SCORE, "mean": 1.0})
    end(begin("b", env="MinAtar/Breakout-v1", seed=1), {**SCORE, "mean": 3.0})
    begin("c", env="MinAtar/Asterix-v1", algo="a3c", seed=3).add_episodes([(2.0, 5, 1.0, 10)])
    begin("d", env="Catch-v0", seed=4)
    return tmp_path


def names(rows):
    return "".join(os.path.basename(row.folder) for row in rows)


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({}, "abcd"),
        (dict(envs=["MinAtar/*"]), "bc"),
        (dict(envs=["minatar/*"]), ""),
        (dict(envs=["Catch-v?", "CartPole-v1"]), "ad"),
        (dict(algos=["a3c"]), "ac"),
        (dict(states=["running", "killed"]), "cd"),
        (dict(envs=["MinAtar/*"], algos=["a3c"], states=["running"]), "c"),
    ],
)
def test_filters_leave_the_runs_that_fit_all_of_them(some, filters, expected):
    assert names(list_runs([some], **filters)) == expected


@pytest.mark.parametrize("filters", [dict(algos=["xyz"]), dict(states=["dead"]), dict(states=[""])])
def test_a_name_that_is_none_is_refused(some, filters):
    with pytest.raises(InputError, match="is no (algorithm|state of a run); choose one of "):
        list_runs([some], **filters)


@pytest.mark.parametrize(
    "column, up, down",
    [("folder", "abcd", "dcba"), ("seed", "bacd", "dcab"), ("score", "acbd", "bcad"), ("time", "cabd", "abcd")],
)
def test_rows_are_sorted_and_what_is_not_known_comes_last(some, column, up, down):
    rows = list_runs([some])
    assert names(sort_rows(rows, column)) == up and names(sort_rows(rows, column, descending=True)) == down


def test_every_column_can_be_sorted_by_and_no_other(some):
    rows = list_runs([some])
    for column in COLUMNS:
        assert sorted(names(sort_rows(rows, column))) == list("abcd")
    with pytest.raises(InputError, match="'size' is no column of the list; choose one of folder, "):
        sort_rows(rows, "size")
    assert [row.state for row in sort_rows(rows, "state")] == ["running", "running", "finished", "finished"]
    assert STATES.index("running") < STATES.index("finished")
