"""The folder of a run: what is written is read again, also while the run goes on, and damage is one sentence."""

import csv
import dataclasses
import json
import os
import time

import numpy as np
import pytest

from numasync import InputError
from numasync.agent.evaluation import summarize
from numasync.config import make_config
from numasync.training.folders import FolderTakenError, claim_folder, reopen
from numasync.training.records import EVALUATION_COLUMNS, LONGEST_JSON, RunFolder, read_run

CONFIG = make_config("classic", env="CartPole-v1", algo="a3c", seed=7)
EPISODES = [(1.0, 10, 0.5, 40), (-21.5, 3, 0.75, 12), (123456.789, 1, 3600.25, 80_000_000)]
SCORE = {"episodes": 10, "mean": 0.8125, "std": 0.5, "min": -1.0, "max": 1.0}
RESULT = {"steps": 80_000_000, "evaluation": SCORE}


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that has just begun."""
    return RunFolder(tmp_path / "run", CONFIG)


@pytest.fixture
def full(folder):
    """The folder of a run that has ended."""
    folder.add_episodes(EPISODES[:2])
    folder.add_evaluation(20, 1.25, SCORE)
    folder.add_episodes(EPISODES[2:])
    folder.add_evaluation(80_000_000, 3600.5, SCORE)
    folder.write_result(RESULT)
    return folder


def test_what_is_written_is_read_again_with_the_episodes_in_order(full):
    run = read_run(str(full.path))
    assert run.path == full.path and run.result == RESULT
    assert run.config == json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    np.testing.assert_array_equal(run.episodes, [EPISODES[1], EPISODES[0], EPISODES[2]])
    np.testing.assert_array_equal(run.evaluations, [[20, 1.25, *SCORE.values()], [80_000_000, 3600.5, *SCORE.values()]])


def test_the_text_is_what_other_tools_expect(full):
    first, columns, *lines = (full.path / "monitor.csv").read_text().splitlines()
    about = json.loads(first[1:])
    assert first[0] == "#" and abs(about.pop("t_start") - (time.time() - 0.75)) < 60
    assert about == {"env_id": "CartPole-v1", "algo": "a3c", "seed": 7}
    assert (columns, lines) == ("r,l,t,T", ["1,10,0.50,40", "-21.5,3,0.75,12", "123456.789,1,3600.25,80000000"])
    assert (full.path / "evaluations.csv").read_text().splitlines() == [
        "T,t,episodes,mean,std,min,max",
        "20,1.25,10,0.8125,0.5,-1,1",
        "80000000,3600.50,10,0.8125,0.5,-1,1",
    ]


def test_the_monitor_is_read_as_stable_baselines3_reads_it(full):
    """Its `load_results`: JSON after '#', then a table by the names of its columns; t_start is added to t."""
    (path,) = full.path.glob("*monitor.csv")
    with open(path) as file:
        first = file.readline()
        assert first[0] == "#"
        header = json.loads(first[1:])
        rows = list(csv.DictReader(file))
    ends = [float(row["t"]) + header["t_start"] for row in rows]
    assert header["env_id"] == "CartPole-v1" and [row["r"] for row in rows] == ["1", "-21.5", "123456.789"]
    assert abs(ends[1] - time.time()) < 60 and [int(row["l"]) for row in rows] == [10, 3, 1]


def test_a_run_that_has_just_begun_can_be_read(folder):
    run = read_run(folder.path)
    assert (run.episodes.shape, run.evaluations.shape, run.result) == ((0, 4), (0, 7), None)


def test_the_options_of_an_earlier_version_are_read_under_their_new_names(folder):
    old = {**dataclasses.asdict(CONFIG), "decay": 0.9, "eval_episodes": 7}
    del old["rms_decay"], old["final_eval_episodes"]
    (folder.path / "config.json").write_text(json.dumps(old))
    config = read_run(folder.path).config
    assert config.keys() == dataclasses.asdict(CONFIG).keys()
    assert (config["rms_decay"], config["final_eval_episodes"]) == (0.9, 7)


@pytest.mark.parametrize("name, head", [("monitor.csv", 2), ("evaluations.csv", 1)])
def test_a_half_written_last_line_is_ignored(full, name, head):
    path = full.path / name
    whole, text = table(full, name), path.read_text()
    for cut in range(len(text) + 1):
        path.write_text(text[:cut])
        lines = max(text[:cut].count("\n") - head, 0)
        np.testing.assert_array_equal(table(full, name), whole[:lines])
    assert len(whole) == lines


def table(folder, name):
    """The rows of a file, by their first column that grows."""
    run = read_run(folder.path)
    rows, growing = (run.episodes, 2) if name == "monitor.csv" else (run.evaluations, 0)
    return rows[np.argsort(rows[:, growing])]


@pytest.mark.parametrize(
    "name, text",
    [
        ("config.json", ""),
        ("config.json", "{"),
        ("result.json", '{"steps": 5'),
        ("config.json", '["algo", "env"]'),
        ("config.json", '{"env": "Catch-v0"}'),
        ("config.json", '{"algo": "a3c"}'),
        ("failure.json", "{"),
        ("config.json", '{"algo": "dqn", "env": "Catch-v0"}'),
        ("config.json", '{"algo": ["a3c"], "env": "Catch-v0"}'),
        ("config.json", '{"algo": "a3c", "env": 5}'),
        ("monitor.csv", "r,l,t\n1,2,3\n"),
        ("monitor.csv", "1,2,3,4\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2,3,x\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2,3,4\n5,6\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2,3,4,5,6,7,8\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2\n3,4\n"),
        ("monitor.csv", "#{}\nr,l,t,T\n1,2,3,4\n\n5,6,7,8\n"),
        ("monitor.csv", "\udcff\n"),
        ("evaluations.csv", "#{}\nr,l,t,T\n1,2,3,4\n"),
    ],
)
def test_damage_is_one_sentence(full, name, text):
    (full.path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"^The records in \S+run are damaged: [^\n]+\.$") as caught:
        read_run(full.path)
    assert ". " not in str(caught.value)


def test_a_record_that_is_a_folder_is_damage(full):
    (full.path / "monitor.csv").unlink()
    (full.path / "monitor.csv").mkdir()
    with pytest.raises(InputError, match="^The records in .+ are damaged: .*Is a directory"):
        read_run(full.path)


@pytest.mark.parametrize("path", [".", "missing", "file", "file/run", "other", "n" * 300])
def test_a_folder_of_no_run_is_refused(tmp_path, path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").mkdir()
    with pytest.raises(InputError, match=r" is no folder of a run; there is no config.json in it\.$"):
        read_run(tmp_path / path)


@pytest.mark.parametrize(
    "path, says",
    [
        ("full", "already exists and is not empty"),
        ("full/file", "already exists and is not empty"),
        ("full/file/run", "cannot be made"),
        ("n" * 300, "cannot be made or written: File name too long"),
    ],
)
def test_a_folder_that_is_not_new_is_left_alone(tmp_path, path, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    with pytest.raises(InputError, match=says):
        RunFolder(tmp_path / path, CONFIG)
    assert [p.name for p in tmp_path.rglob("*")] == ["full", "file"]
    assert (tmp_path / "full" / "file").read_text() == "precious"


def test_a_folder_is_made_with_its_parents_or_taken_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "a" / "b", tmp_path / "empty"):
        folder, handle, _ = claim_folder(path, "file.json", {"n": 1})
        os.close(handle)
        assert folder == path
        assert json.loads((path / "file.json").read_text()) == {"n": 1}


def test_the_columns_of_an_evaluation_are_the_names_of_a_score():
    assert list(EVALUATION_COLUMNS) == ["T", "t", *summarize([1.0, 2.0])] and list(SCORE) == list(summarize([1.0, 2.0]))


@pytest.mark.parametrize("lines", [10, 400, 5000])
def test_of_a_long_table_the_whole_lines_at_its_end_are_read(folder, lines):
    folder.add_episodes([(i, 1, i / 10, i) for i in range(lines)])
    with open(folder.path / "monitor.csv", "a") as file:
        file.write("7,7")  # a line that is still written
    every = read_run(folder.path).episodes
    assert len(every) == lines
    for most in range(1000, 1040):
        last = read_run(folder.path, most).episodes
        assert len(last) == lines if lines == 10 else 50 < len(last) < 100
        np.testing.assert_array_equal(last, every[-len(last) :])


@pytest.mark.parametrize("text", ["[" * 100_000, " " * (LONGEST_JSON + 1)])
@pytest.mark.parametrize("name", ["config.json", "result.json", "failure.json"])
def test_a_json_file_that_is_very_long_or_deep_is_damage(full, name, text):
    (full.path / name).write_text(text)
    with pytest.raises(InputError, match=rf"^The records in \S+run are damaged: {name} is [^\n.]+\.$"):
        read_run(full.path)


def test_a_file_that_another_program_has_replaced_is_no_lock(tmp_path, monkeypatch):
    """The other one has gone on with the run, and holds the lock of the new file."""
    path, opened = tmp_path / "config.json", os.open
    path.write_text("old")

    def replaced(*arguments):
        handle = opened(*arguments)
        path.unlink()
        return handle

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(FolderTakenError, match="Another program trains in"):
        reopen(path)
