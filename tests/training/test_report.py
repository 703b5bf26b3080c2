"""What a run prints: the lines, and how often they come on a terminal and in a file."""

import io
from itertools import pairwise
from types import SimpleNamespace

import pytest

from numasync.training.console import Console, format_clock, plural
from numasync.training.progress import Progress
from numasync.training.report import Report, evaluation_line, progress_line

CONFIG = SimpleNamespace(algo="a3c", env="Catch-v0", workers=4, steps=1_000_000, seed=7, final_eval_episodes=30)
EVALUATION = {"episodes": 30, "mean": 0.8666, "std": 0.5074, "min": -1.0, "max": 1.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress(steps=250_000, seconds=10.0, episodes=12_345, returns=(1.0, 2.0), interrupted=False):
    return Progress(steps, CONFIG.steps, seconds, episodes, list(returns), interrupted)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3723, "1:02:03"),
        (360_000, "100:00:00"),
    ],
)
def test_seconds_as_text(seconds, text):
    assert format_clock(seconds) == text


@pytest.mark.parametrize("number, text", [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1_000, "1,000 runs")])
def test_a_number_and_its_noun(number, text):
    assert plural(number, "run") == text


@pytest.mark.parametrize(
    "state, text",
    [
        ({}, "250,000 steps ( 25%) 25,000/s 12,345 episodes mean return 1.5 0:30 left"),
        ({"returns": (), "episodes": 0}, "250,000 steps ( 25%) 25,000/s 0 episodes mean return - 0:30 left"),
        ({"seconds": 0.0, "steps": 0}, "0 steps ( 0%) 0/s 12,345 episodes mean return 1.5 - left"),
        ({"steps": 1_000_004}, "1,000,004 steps (100%) 100,000/s 12,345 episodes mean return 1.5 0:00 left"),
        ({"steps": 100, "returns": [-21.0]}, "100 steps ( 0%) 10/s 12,345 episodes mean return -21.0 27:46:30 left"),
    ],
)
def test_progress_line(state, text):
    assert " ".join(progress_line(progress(**state)).split()) == text


def test_a_terminal_shows_how_far_the_compilation_is_twice_a_second():
    terminal, pipe = Terminal(), io.StringIO()
    for file in (terminal, pipe):
        report = Report(CONFIG, console=Console(file))
        for done, seconds in enumerate((0.1, 0.6, 0.9, 1.2, 20.0), 1):
            report.print_compilation(done, 5, seconds)
        report.print_progress(progress(seconds=0.6))
    lines = [line.strip() for line in terminal.getvalue().split("\r")]
    compiled = [f"compiled {line}" for line in ("2 of 5 kernels, 0:01 left", "4 of 5 kernels, 0:00 left")]
    assert lines[:-2] == ["", *compiled] and lines[-2] == "compiled 5 of 5 kernels, 0:00 left"
    assert "steps" in lines[-1], "the clock of the run begins at 0"
    assert "compiled" not in pipe.getvalue()


def test_evaluation_line():
    assert evaluation_line(EVALUATION) == "Evaluation over 30 episodes: mean 0.87, std 0.51, min -1, max 1."


def seconds_of_lines(report, until):
    """When `report` writes, of calls every tenth of a second."""
    moments = []
    for tenth in range(10 * until):
        before = report.console.file.tell()
        report.print_progress(progress(seconds=tenth / 10))
        if report.console.file.tell() > before:
            moments.append(tenth / 10)
    return moments


def test_a_file_gets_whole_lines_less_and_less_often():
    file = io.StringIO()
    moments = seconds_of_lines(Report(CONFIG, console=Console(file)), until=600)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert moments[0] == 0 and gaps[0] == pytest.approx(1.0, abs=0.11) and gaps[-1] == pytest.approx(60.0, abs=0.11)
    assert all(earlier <= later + 0.11 for earlier, later in pairwise(gaps)) and gaps[4] > 3 * gaps[0]
    lines = file.getvalue().splitlines()
    assert len(lines) == len(moments) and all(line.endswith(" left") for line in lines) and "\r" not in file.getvalue()


def test_a_terminal_gets_one_line_that_is_rewritten():
    file = Terminal()
    report = Report(CONFIG, console=Console(file))
    moments = seconds_of_lines(report, until=20)
    assert moments == pytest.approx([0.5 * i for i in range(40)], abs=0.11)
    pieces = file.getvalue().split("\r")[1:]
    assert len(pieces) == 40 and "\n" not in file.getvalue()
    assert {len(piece) for piece in pieces} == {100}, "a shorter line leaves nothing of a longer one before it"
    report.print_end(progress())
    last, *more = file.getvalue().split("\r")[-1].splitlines()
    assert last.rstrip() == progress_line(progress())
    assert more == ["Trained after 250,000 steps in 0:10."]


def test_a_whole_run_in_a_file():
    file = io.StringIO()
    report = Report(CONFIG, "run/checkpoint.npz", Console(file))
    report.print_start()
    report.print_progress(progress(steps=100, seconds=0.1))
    report.print_end(progress(steps=1_000_004))
    report.print_final_evaluation()
    report.print_result({"evaluation": EVALUATION})
    assert file.getvalue().splitlines() == [
        "a3c on Catch-v0: 4 workers, 1,000,000 steps, seed 7; compiling ...",
        progress_line(progress(steps=100, seconds=0.1)),
        progress_line(progress(steps=1_000_004)),
        "Trained after 1,000,004 steps in 0:10.",
        "Evaluating 30 episodes ...",
        evaluation_line(EVALUATION),
        "Checkpoint: run/checkpoint.npz",
    ]


PERIODIC = "     250,000 steps: evaluation over 30 episodes: mean 0.87, std 0.51, min -1, max 1"


@pytest.mark.parametrize("best, line", [(True, f"{PERIODIC}; the best so far."), (False, f"{PERIODIC}.")])
def test_a_periodic_evaluation_is_a_line(best, line):
    file = io.StringIO()
    Report(CONFIG, console=Console(file)).print_periodic_evaluation(250_000, EVALUATION, best)
    assert file.getvalue() == line + "\n"


def test_a_periodic_evaluation_takes_the_place_of_the_progress_on_a_terminal():
    file = Terminal()
    report = Report(CONFIG, console=Console(file))
    report.print_progress(progress())
    report.print_periodic_evaluation(250_000, EVALUATION, False)
    report.print_progress(progress(seconds=11.0))
    shown, line, after = file.getvalue().split("\r")[1:]
    assert line == f"{PERIODIC}.".ljust(100) + "\n" and len(shown) == 100, "nothing is left of what was shown"
    assert after.rstrip() == progress_line(progress(seconds=11.0))


@pytest.mark.parametrize("checkpoint, said", [("run/checkpoint.npz", ["Checkpoint: run/checkpoint.npz"]), (None, [])])
def test_an_interrupted_run_says_so_and_has_no_evaluation(checkpoint, said):
    file = io.StringIO()
    report = Report(CONFIG, checkpoint, Console(file))
    report.print_end(progress(interrupted=True, seconds=75.0))
    report.print_result({"evaluation": None})
    line, *rest = file.getvalue().splitlines()
    assert line == progress_line(progress(seconds=75.0)) and rest == ["Interrupted after 250,000 steps in 1:15.", *said]


def test_a_quiet_console_prints_nothing_and_a_report_prints_to_stdout(capsys):
    for report, prints in ((Report(CONFIG, console=Console(quiet=True)), False), (Report(CONFIG), True)):
        for call in (
            report.print_start,
            lambda: report.print_progress(progress()),
            lambda: report.print_periodic_evaluation(100, EVALUATION, True),
            lambda: report.print_end(progress()),
            lambda: report.print_result({"evaluation": EVALUATION}),
        ):
            call()
            captured = capsys.readouterr()
            assert bool(captured.out) == prints and captured.err == ""
