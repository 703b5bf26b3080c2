"""The options that stop a run or record it, on the command line."""

import json
import sys

import pytest

from numasync.cli import main
from numasync.training.records import read_run

pytestmark = pytest.mark.compiled

SHORT = ["--env", "Catch-v0", "--network", "mlp", "--workers", "2", "--final-eval-episodes", "2"]


def run(folder, *words):
    return main(["train", *SHORT, "--out", str(folder), *words])


def test_a_run_that_a_callback_stops_says_so_in_plain_words_and_is_a_success(tmp_path, capsys):
    assert run(tmp_path / "run", "--steps", "1e9", "--max-minutes", "0.005", "--seed", "3") == 0
    out = capsys.readouterr().out
    assert "\nStopped after " in out and "\nStopped by StopAfterMinutes: 0.005 minutes of training.\n" in out
    assert read_run(tmp_path / "run").result["stopped_by"] == "StopAfterMinutes: 0.005 minutes of training"
    assert main(["runs", str(tmp_path)]) == 0 and "finished early" in capsys.readouterr().out
    assert main(["runs", "--json", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "finished" and row["stopped_by"].startswith("StopAfterMinutes")


def test_a_machine_is_told_what_has_stopped_the_run(tmp_path, capsys):
    assert run(tmp_path / "run", "--steps", "1e9", "--stop-at", "-1", "--json-lines") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (end,) = [event for event in events if event["event"] == "end"]
    assert end["stopped_by"].startswith("StopAtScore: mean return ") and not end["interrupted"]
    assert events[0]["options"]["stop_at"] == -1.0 and events[-1]["stopped_by"] == end["stopped_by"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (
            ["--patience", "3"],
            "patience is 3, and there are no periodic evaluations; give eval_every",
        ),
        (["--patience", "-1"], "patience is -1; it must be a whole number from 0"),
        (["--stop-at", "nan"], "stop_at is nan; it must be a number from -1e+30 to 1e+30."),
        (["--max-minutes", "-1"], "max_minutes is -1.0; it must be a number from 0"),
    ],
)
def test_bad_options_are_one_sentence_and_exit_code_2(tmp_path, capsys, words, sentence):
    assert run(tmp_path / "run", *words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"numasync: {sentence}") and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_without_tensorboardx_the_command_line_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert run(tmp_path / "run", "--tensorboard") == 2
    assert 'pip install "numasync[tensorboard]" installs it.\n' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
