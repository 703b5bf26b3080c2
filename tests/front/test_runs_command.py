"""`numasync runs`: a table for the terminal, JSON for programs, filters, and the order of the rows."""

import json
import os
import pty
import subprocess
import sys

import pytest

from numasync import cli
from numasync.config import make_config
from numasync.training.records import RunFolder

SEEDS = {"a": 3, "b": 1, "c": 2}
ENVS = {"a": "CartPole-v1", "b": "Catch-v0", "c": "MinAtar/Breakout-v1"}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folder runs, with three runs that were killed, in the current folder."""
    for name, seed in SEEDS.items():
        folder = RunFolder(tmp_path / "runs" / name, make_config("classic", env=ENVS[name], seed=seed))
        folder.add_episodes([(seed, 5, 1.0, 10)])
        folder.close()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def listed(runs, capsys):
    """Returns the names of the runs that `numasync runs ARGUMENTS` lists, in their order."""

    def call(*arguments):
        assert cli.main(["runs", *arguments, "--json"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return "".join(os.path.basename(row["folder"]) for row in json.loads(out))

    return call


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ("--sort seed", "bca"),
        ("--sort -seed", "acb"),
        ("--sort=-seed", "acb"),
        ("--sort seed --reverse", "acb"),
        ("--sort -score runs", "acb"),
        ("--sort folder --env C*", "ab"),
        ("--sort folder --env Catch-v0,MinAtar/*", "bc"),
        ("--sort folder --env Catch-v0 --env MinAtar/*", "bc"),
        ("--sort folder --algo nstep_q,a3c", "abc"),
        ("--algo a3c", ""),
        ("--sort folder --state killed", "abc"),
        ("--state running,failed", ""),
        ("runs/b", "b"),
        ("--sort folder runs/b runs/a runs/a", "ab"),
    ],
)
def test_filters_and_order(listed, arguments, expected):
    assert listed(*arguments.split()) == expected


def test_without_a_terminal_a_run_is_one_line(runs, capsys):
    assert cli.main(["runs", "--sort", "seed"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == "folder started algorithm environment seed state steps score of time".split()
    assert [line.split()[0] for line in lines] == ["runs/b", "runs/c", "runs/a"]
    assert lines[0].split()[3:] == "nstep_q Catch-v0 1 killed 10/1M 1.00 last 1 0:00:01".split()


@pytest.mark.parametrize("arguments", [["--env", "Nope*"], ["empty"]])
def test_where_no_run_is_found_a_sentence_says_so(runs, tmp_path, capsys, arguments):
    (tmp_path / "empty").mkdir()
    assert cli.main(["runs", *arguments]) == 0
    assert capsys.readouterr() == ("No runs are found.\n", "")
    assert cli.main(["runs", *arguments, "--json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("missing", "There is no folder missing; name a folder of runs, or the folder of a run."),
        ("runs/a/config.json", "There is no folder runs/a/config.json; name a folder of runs"),
        ("--sort size", "'size' is no column of the list; choose one of folder, started, algorithm,"),
        ("--sort -size", "'size' is no column of the list"),
        ("--sort --json", "argument --sort: expected one argument"),
        ("--algo dqn", "'dqn' is no algorithm; the nearest algorithms here are one_step_q and nstep_q,"),
        ("--state running,dead", "'dead' is no state of a run; choose one of running, finished,"),
    ],
)
def test_bad_input_is_one_sentence(runs, capsys, arguments, says):
    try:
        code = cli.main(["runs", *arguments.split()])
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and says in err and err.startswith("numasync") and err.count("\n") == 1


@pytest.mark.compiled
@pytest.mark.parametrize("columns, lines", [(80, 8), (200, 4)])
def test_a_table_that_is_wider_than_the_terminal_has_several_lines_for_a_run(runs, columns, lines):
    above, below = pty.openpty()
    command = [sys.executable, "-m", "numasync", "runs"]
    process = subprocess.Popen(command, stdout=below, env={**os.environ, "COLUMNS": str(columns)})
    assert process.wait(60) == 0
    os.close(below)
    found = os.read(above, 10_000).decode().splitlines()
    os.close(above)
    assert len(found) == lines and max(map(len, found)) <= columns
