"""`numasync tune`: its options and complaints, and the real command, which is killed and goes on."""

import json
import re
import subprocess
import sys
import time

import pytest
from support.folders import contents

from numasync.cli import main
from numasync.tools.tuning.plan import make_settings
from numasync.tools.tuning.storage import Storage

pytest.importorskip("optuna")

START_SECONDS = 400  # a cold compile on a busy machine


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("--env Nope-v0", "'Nope-v0' is no environment"),
        ("--algo A3C", "'A3C' is no algo; you may mean a3c."),
        ("--trials 0", "trials is 0; it must be a whole number from 1"),
        ("--trials many", "--trials: invalid int value: 'many'"),
        ("--jobs 0", "jobs is 0; it must be a whole number from 1"),
        ("--steps 0", "steps is 0; it must be a whole number from 1"),
        ("--seed -1", "seed is -1; it must be a whole number from 0"),
        ("--algo a3c --lr 1 --t-max 5 --clip-norm 1 --rms-eps 1 --beta 1", "Every option that a tuning searches"),
        ("--n-trials 5", "unrecognized arguments: --n-trials 5; you may mean --trials; see numasync tune --help."),
        ("--out full", "full already exists and is not empty"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    try:
        code = main(["tune", *arguments.split()])
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and says in err and re.fullmatch(r"numasync.+\.\n", err)
    assert contents(tmp_path) == before


def test_the_command_line_gives_its_options_to_tune(monkeypatch):
    calls = []
    monkeypatch.setattr("numasync.commands.tune.tune", lambda **options: calls.append(options))
    assert main(["tune"]) == 0
    words = "--env Catch-v0 --algo a3c --trials 3 --steps 9 --jobs 5 --seed 4 --out here --lr 0.1 --no-deterministic"
    assert main(["tune", *words.split()]) == 0
    given = dict(env="Catch-v0", algo="a3c", trials=3, steps=9, jobs=5, seed=4, out="here", lr=0.1, deterministic=False)
    assert calls == [dict(verbose=True), dict(verbose=True, **given)]


def command(*words):
    return [sys.executable, "-m", "numasync", *map(str, words)]


@pytest.mark.compiled
def test_a_tuning_that_is_killed_goes_on_and_its_best_trial_is_repeated(tmp_path):
    options = ("--env", "Catch-v0", "--algo", "a3c", "--steps", 20_000, "--lr", 0.003, "--out", "tuning")
    words = ("tune", *options, "--trials", 3, "--jobs", 1)
    process = subprocess.Popen(command(*words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_SECONDS
    try:
        # In the middle of the second trial.
        while not list((tmp_path / "tuning" / "trials").glob("0001/evaluations.csv")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    run = dict(cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS)
    done = subprocess.run(command(*words), **run)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 trials, 1 are played already" in done.stdout and "2 trials in " in done.stdout
    folder = tmp_path / "tuning"
    settings = make_settings("Catch-v0", "a3c", steps=20_000, lr=0.003)
    rows = Storage(folder, settings).rows()
    assert [row.number for row in rows] == [0, 2, 3] and len({row.options["seed"] for row in rows}) == 3
    killed = json.loads((folder / "trials" / "0001" / "config.json").read_text())
    killed.pop("made_by")
    assert rows[1].options == killed, "the trial was played again"
    best = json.loads((folder / "best.json").read_text())["made_by"]
    again = command("train", "--config", "tuning/best.json", "--out", "again", "--quiet")
    assert subprocess.run(again, **run).returncode == 0
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["evaluation"]["mean"] == best["score"] == max(row.score for row in rows)
