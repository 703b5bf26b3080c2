"""Old names of options on the command line: accepted with a warning, and absent from the help."""

from types import SimpleNamespace

import pytest

from numasync import cli
from numasync.config import RENAMED

GIVEN = ["--decay", "0.5", "--life-loss", "--eval-episodes", "7", "--sideline-episodes", "3"]
WARNINGS = """\
numasync: --decay is now --rms-decay.
numasync: --life-loss is now --terminal-on-life-loss.
numasync: --eval-episodes is now --final-eval-episodes.
numasync: --sideline-episodes is now --periodic-eval-episodes.
"""


@pytest.fixture
def options_of(monkeypatch, tmp_path):
    """Returns the options that `numasync train ARGUMENTS` gives to train_and_show, which does nothing."""

    def call(*arguments):
        given = {}

        def train_and_show(display, out, from_agent, **options):
            given.update(options)
            (tmp_path / "result.json").touch()
            return SimpleNamespace(result={"interrupted": False})

        monkeypatch.setattr("numasync.commands.train.train_and_show", train_and_show)
        assert cli.main(["train", *arguments, "--out", str(tmp_path)]) == 0
        return given

    return call


def test_old_flags_reach_train_under_their_new_names_with_a_line_of_warning_each(options_of, capsys):
    expected = {"rms_decay": 0.5, "terminal_on_life_loss": True, "final_eval_episodes": 7, "periodic_eval_episodes": 3}
    assert options_of(*GIVEN) == expected and set(RENAMED.values()) == set(expected)
    assert capsys.readouterr().err == WARNINGS


def test_an_old_flag_can_be_negated(options_of):
    assert options_of("--no-life-loss") == {"terminal_on_life_loss": False}


def test_new_flags_give_no_warning(options_of, capsys):
    assert options_of("--rms-decay", "0.5", "--no-terminal-on-life-loss")["rms_decay"] == 0.5
    assert capsys.readouterr().err == ""


def test_both_names_of_an_option_are_refused(capsys):
    assert cli.main(["train", "--decay", "0.5", "--rms-decay", "0.9"]) == 2
    says = "numasync: --decay is the old name of --rms-decay; give --rms-decay alone.\n"
    assert capsys.readouterr().err == says


def test_the_help_shows_the_new_names_alone(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = set(capsys.readouterr().out.replace(",", " ").split())
    assert not words & {f"--{name.replace('_', '-')}" for name in RENAMED}
    assert words >= {f"--{name.replace('_', '-')}" for name in RENAMED.values()}


@pytest.mark.parametrize("verb", ["eval", "watch"])
def test_the_help_shows_the_agent_as_an_argument_alone(capsys, verb):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    out = capsys.readouterr().out
    assert "[AGENT]" in out and "--agent" not in out
