"""`numasync study`: its options, complaints and exit codes, and the real command with its processes."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from support.folders import contents
from support.processes import listen_to_ctrl_c
from support.studies import text

from numasync import WorkerError
from numasync.cli import main
from numasync.tools.studies.table import RUN_COLUMNS, Table

START_SECONDS, STOP_SECONDS = 400, 30  # a cold compile on a busy machine


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("nothing", "'nothing' is no study; choose one of optimizers, lr, threads."),
        ("", "the following arguments are required: NAME"),
        ("lr --env Nope-v0", "'Nope-v0' is no environment"),
        ("lr --algos dqn", "'dqn' is no algo; the nearest algorithms here are"),
        ("lr --algos a3c,", "'' is no algo; choose one of"),
        ("lr --runs 0", "runs is 0; it must be a whole number from 1"),
        ("lr --runs many", "--runs: invalid int value: 'many'"),
        ("lr --steps 0", "steps is 0; it must be a whole number from 1"),
        ("lr --workers 0", "workers is 0; it must be a whole number from 1"),
        ("lr --seed -1", "seed is -1; it must be a whole number from 0"),
        ("lr --jobs 0", "jobs is 0; it must be a whole number from 1"),
        ("optimizers --lr-low 0", "lr_low is 0.0; it must be a number above 0"),
        ("lr --lr-low 0.1", "lr_low is 0.1 and lr_high 0.01; the first must not be above the second."),
        ("threads --workers 2", "workers is nothing to choose in the study of threads; leave it out."),
        ("threads --lr-low 0.1", "lr_low is nothing to choose in the study of threads; leave it out."),
        ("lr --out full", "full already exists and is not empty"),
        ("lr --out full/file/study", "The folder full/file/study cannot be made"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    try:
        code = main(["study", *arguments.split()])
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and says in err and re.fullmatch(r"numasync.+\.\n", err)
    assert contents(tmp_path) == before


def test_the_command_line_gives_its_options_to_study(monkeypatch):
    calls = []
    monkeypatch.setattr("numasync.commands.study.study", lambda **options: calls.append(options))
    assert main(["study", "lr"]) == 0
    words = "optimizers --env Catch-v0 --algos a3c --runs 3 --steps 9 --workers 2 --seed 4 --lr-low 0.1 --lr-high 1 "
    assert main(["study", *f"{words} --jobs 5 --out here".split()]) == 0
    numbers = dict(runs=3, steps=9, workers=2, seed=4, lr_low=0.1, lr_high=1.0, jobs=5)
    assert calls == [
        dict(name="lr", verbose=True),
        dict(name="optimizers", env="Catch-v0", algos="a3c", out="here", verbose=True, **numbers),
    ]


def test_a_failed_run_is_exit_code_1(monkeypatch, capsys):
    def failing(**_):
        raise WorkerError("Worker 0 failed.") from ZeroDivisionError("the pole broke")

    monkeypatch.setattr("numasync.commands.study.study", failing)
    assert main(["study", "lr"]) == 1
    err = capsys.readouterr().err
    assert "the pole broke" in err and err.endswith("Finished runs are kept; the same command goes on.\n")


def command(*arguments):
    return [sys.executable, "-m", "numasync", "study", *map(str, arguments)]


@pytest.mark.compiled
def test_the_real_command_plays_goes_on_and_draws(tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ("lr", "--algos", "a3c", "--runs", 3, "--steps", 500, "--jobs", 2, "--out", "study")
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        sorted(path.name for path in (tmp_path / "study").iterdir())
        == "figure.png figure.svg runs.csv study.json".split()
    )
    rows = Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows
    assert len(rows) == 3 and all(1 <= row["score"] <= 500 for row in rows)
    assert "3 runs in " in done.stdout and "Table: study/runs.csv" in done.stdout
    before = text(tmp_path)
    (tmp_path / "study" / "runs.csv").write_text(before[:-9])
    again = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS)
    assert "3 runs, 2 of them finished before" in again.stdout and "1 run in" in again.stdout
    seconds = re.compile(r",[^,]*$", re.M)
    assert sorted(seconds.sub("", text(tmp_path)).splitlines()) == sorted(seconds.sub("", before).splitlines())


@pytest.fixture
def under_way(tmp_path):
    """A study of many runs as a process, of which two are finished, and the ids of its own processes."""
    arguments = ("lr", "--algos", "a3c", "--runs", 10_000, "--steps", 20_000, "--jobs", 2, "--out", "study")
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command(*arguments), cwd=tmp_path, preexec_fn=listen_to_ctrl_c, **streams)
    table = tmp_path / "study" / "runs.csv"
    deadline = time.monotonic() + START_SECONDS
    while not table.exists() or table.read_text().count("\n") < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = descendants(process.pid)
    assert len(children) >= 2
    yield process, children
    process.kill()
    process.communicate()


@pytest.mark.compiled
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(under_way, tmp_path):
    process, children = under_way
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=STOP_SECONDS)
    assert (process.returncode, err) == (130, "numasync: stopped.\n")
    assert out.splitlines()[-1] == "Stopped. study/runs.csv keeps the finished runs; the same command goes on."
    assert len(Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows) >= 2
    wait_for_the_end_of(children)


@pytest.mark.compiled
def test_a_study_that_is_killed_leaves_no_process(under_way, tmp_path):
    process, children = under_way
    process.kill()
    wait_for_the_end_of(children)
    assert len(Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows) >= 2


def wait_for_the_end_of(processes):
    deadline = time.monotonic() + STOP_SECONDS
    while any(os.path.exists(f"/proc/{process}") for process in processes):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)


def descendants(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found]
