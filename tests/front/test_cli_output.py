"""What `numasync train` prints: on a terminal, for other programs, and where it is told to be quiet."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.terminal import play_on_terminal, screen, without_colours

pytestmark = pytest.mark.compiled

COMMAND = [sys.executable, "-m", "numasync", "train", "--workers", "2", "--seed", "3", "--out", "run"]
SHORT = ["--steps", "5000", "--final-eval-episodes", "2"]
# Long enough for a line of progress on a fast machine.
LONGER = ["--steps", "3e6", "--eval-every", "1e6", "--periodic-eval-episodes", "2", "--final-eval-episodes", "2"]
ENDLESS = ["--steps", "1e11"]
COLUMNS = 80
START_SECONDS = 240


@pytest.fixture
def variables(tmp_path):
    """Returns the environment variables of a program that finds rich, or that finds none."""

    def give(rich=False, **more):
        path = os.environ.get("PYTHONPATH", "")
        if rich:
            pytest.importorskip("rich")
        else:
            (tmp_path / "no_rich" / "rich").mkdir(parents=True)
            (tmp_path / "no_rich" / "rich" / "__init__.py").write_text("raise ImportError('not installed')\n")
            path = os.pathsep.join(filter(None, [str(tmp_path / "no_rich"), path]))
        own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        return {**own, "PYTHONPATH": path, "TERM": "xterm-256color", **more}

    return give


def play(words, cwd, **options):
    """Run the program to its end, without a terminal; return its exit code, its output and its complaint."""
    done = subprocess.run([*COMMAND, *words], cwd=cwd, capture_output=True, text=True, timeout=START_SECONDS, **options)
    return done.returncode, done.stdout, done.stderr


def events_of(out):
    """The events that a program reads, and their data."""
    return [(each.pop("event"), each) for each in map(json.loads, out.splitlines())]


def drawn(text):
    """The texts between two returns of the cursor, without colours."""
    return [part.rstrip("\b") for part in re.split("[\r\n]+", without_colours(text))]


@pytest.mark.parametrize("rich, no_colour", [(False, ""), (True, ""), (True, "1")])
def test_on_a_terminal_no_line_is_longer_than_its_width(variables, tmp_path, rich, no_colour):
    code, text = play_on_terminal([*COMMAND, *LONGER], tmp_path, variables(rich, NO_COLOR=no_colour), COLUMNS)
    assert code == 0 and max(len(line) for line in drawn(text)) <= COLUMNS
    bars = [line for line in drawn(text) if re.match(r"training .+ +\d+%  .* left  return .+/s", line)]
    assert bars and {len(line) for line in bars} == {COLUMNS - 3}
    coloured = rich and not no_colour
    assert ("\x1b[" in text) == coloured and ("\x1b" not in without_colours(text))
    assert all(("━" in line) == coloured and ("[" in line) == (not coloured) for line in bars)
    # The evaluation that is under way at the end of the training is printed after it.
    periodic = [line for line in screen(text) if re.match(r" +[\d,]+ steps: evaluation mean", line)]
    first, trained, _, evaluating, evaluation, best, checkpoint, rest = (x for x in screen(text) if x not in periodic)
    assert first.startswith("nstep_q on CartPole-v1") and rest == "" and periodic
    assert trained.startswith("Trained after 3,000,") and evaluating == "Evaluating 2 episodes ..."
    assert evaluation.startswith("Evaluation over 2 episodes") and best.startswith("Best periodic evaluation: mean ")
    assert checkpoint == "Checkpoint: run/checkpoint.npz"


def test_ctrl_c_on_a_terminal_leaves_no_part_of_the_bar(variables, tmp_path):
    code, text = play_on_terminal([*COMMAND, *ENDLESS], tmp_path, variables(), COLUMNS, interrupt_at="training [")
    *_, interrupted, returns, checkpoint, how, rest = screen(text)
    assert how == "Go on with: numasync resume run"
    assert code == 130 and interrupted.startswith("Interrupted after ") and returns.startswith("Mean return of the ")
    assert checkpoint == "Checkpoint: run/checkpoint.npz" and rest == "" and "training [" not in "".join(screen(text))


def test_a_failure_is_said_on_a_line_of_its_own(variables, tmp_path):
    words = [*COMMAND, *ENDLESS, "--lr", "1e30", "--clip-norm", "1e30", "--rms-eps", "1e-30"]
    code, text = play_on_terminal(words, tmp_path, variables(), COLUMNS)
    assert code == 1 and screen(text)[-2].startswith("numasync: ") and "[" not in screen(text)[-2]


def test_a_dumb_terminal_gets_lines_as_a_file_does(variables, tmp_path):
    code, text = play_on_terminal([*COMMAND, *SHORT], tmp_path, variables(TERM="dumb"), COLUMNS)
    assert code == 0 and not re.search("[\b\x1b]|\r[^\n]", text)
    assert screen(text)[-2] == "Checkpoint: run/checkpoint.npz"


def test_a_quiet_run_prints_nothing_and_writes_its_folder(tmp_path):
    assert play([*SHORT, "--quiet"], tmp_path) == (0, "", "")
    assert (tmp_path / "run" / "result.json").exists()


def test_a_quiet_run_complains_nevertheless(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    code, out, err = play([*SHORT, "--quiet"], tmp_path)
    assert (code, out) == (2, "") and re.fullmatch(r"numasync: .* is not empty.*\n", err)


def test_other_programs_read_a_json_object_a_line(tmp_path):
    code, out, err = play([*LONGER, "--json-lines"], tmp_path)
    assert (code, err) == (0, "")
    events = events_of(out)
    assert {name for name, _ in events} >= {"start", "compiling", "checkpoint", "progress", "evaluation", "end"}
    config, result = (json.loads((tmp_path / "run" / name).read_text()) for name in ("config.json", "result.json"))
    assert config.pop("made_by") == result.pop("made_by")
    assert events[0] == ("start", {"options": config, "folder": "run", "steps": 0})
    assert events[-1] == ("result", result)
    first = dict(reversed(events))
    assert list(first["progress"]) == ["steps", "max_steps", "seconds", "steps_per_s", "episodes", "mean_return"]
    assert list(first["evaluation"]) == ["steps", "scores", "best"] and first["evaluation"]["best"] is True
    assert list(first["compiling"]) == list(first["evaluating"]) == ["done", "total"]
    assert first["checkpoint"] == {"steps": 0, "path": "run/checkpoint.npz"}
    assert (
        list(first["end"]) == ["steps", "seconds", "interrupted", "stopped_by"] and first["end"]["steps"] >= 3_000_000
    )


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_the_reader_of_json_lines_can_go_at_any_time(tmp_path, lines):
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([*COMMAND, *ENDLESS, "--json-lines"], cwd=tmp_path, **streams) as process:
        for _ in range(lines):
            assert process.stdout.readline().startswith('{"event": ')
        process.stdout.close()
        assert (process.stderr.read(), process.wait(START_SECONDS)) == ("", 130)
    if lines > 1:  # the compilation has begun
        assert json.loads((tmp_path / "run" / "result.json").read_text())["interrupted"] is True


def test_both_flags_at_once_are_refused_in_one_sentence(tmp_path):
    code, out, err = play(["--quiet", "--json-lines"], tmp_path)
    assert (code, out) == (2, "") and re.fullmatch(r"numasync train: .*--json-lines.* not .*--quiet.*\n", err)
    assert not (tmp_path / "run").exists()
