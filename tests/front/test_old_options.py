"""Old names of options on the command line: accepted, warned of, absent from the help."""

from types import SimpleNamespace

import pytest

from numasync import cli
from numasync.config import RENAMED, validate_options

GIVEN = ["--decay", "0.5", "--life-loss", "--eval-episodes", "7", "--sideline-episodes", "3"]


def test_old_flags_reach_the_options_of_train(monkeypatch):
    given = {}

    def train(out, verbose, **options):
        given.update(options)
        return SimpleNamespace(result={"interrupted": False})

    monkeypatch.setattr(cli, "train", train)
    assert cli.main(["train", *GIVEN, "--out", "run"]) == 0
    with pytest.warns(FutureWarning, match="is now called"):
        options = validate_options(given)
    expected = {"rms_decay": 0.5, "terminal_on_life_loss": True, "final_eval_episodes": 7, "periodic_eval_episodes": 3}
    assert options == expected and set(RENAMED) == set(given)


def test_the_help_shows_the_new_names_alone(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = set(capsys.readouterr().out.replace(",", " ").split())
    assert not words & {f"--{name.replace('_', '-')}" for name in RENAMED}
    assert words >= {f"--{name.replace('_', '-')}" for name in RENAMED.values()}
