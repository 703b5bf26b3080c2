"""What a study prints: the lines, and how often they come on a terminal and in a file."""

import io
from math import nan

import pytest
from support.terminal import Terminal, screen

from numasync.distributed.pool import Playing
from numasync.tools.runs_report import describe_playing
from numasync.tools.studies.plan import THREADS, TURNS
from numasync.tools.studies.report import StudyReport, run_line
from numasync.training.console import Console
from numasync.training.display import PlainLines
from numasync.training.terminal_bar import TerminalBar, plain_bar


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


PLAYED = dict(study="optimizers", algo="a3c", optimizer="rmsprop", lr=1.234e-3, workers=1, mode=TURNS, seed=7)


def test_progress_says_how_long_it_takes():
    file, clock = io.StringIO(), Clock()
    report = StudyReport({"study": "optimizers", "env": "Catch-v0"}, "runs.csv", PlainLines(Console(file)), clock)
    report.print_start(10, 4)
    for seconds, score in ((10, 0.5), (10.1, 0.5), (30, nan)):
        clock.now = 100 + seconds
        report.add_run(PLAYED, {"score": score})
    for _ in range(3):
        report.add_run(PLAYED, {"score": 1.0})
    report.print_end()
    report.print_lines("one", "two")
    assert file.getvalue().splitlines() == [
        "Study of optimizers on Catch-v0: 10 runs, 4 of them finished before; the first ones compile ...",
        "     5 of 10 runs ( 50%)  0:50 left  a3c, rmsprop, lr 0.0012, seed 7: 0.50",
        "     7 of 10 runs ( 70%)  0:30 left  a3c, rmsprop, lr 0.0012, seed 7: diverged",
        "6 runs in 0:30.",
        "Table: runs.csv",
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    "change, line",
    [
        (dict(study="lr"), "a3c, lr 0.0012, seed 7: 2.00"),
        (dict(study="threads"), "a3c, 1 worker in turns, seed 7: 2.00"),
        (dict(study="threads", workers=16, mode=THREADS), "a3c, 16 workers in threads, seed 7: 2.00"),
    ],
)
def test_a_line_of_progress_says_what_a_run_has_of_its_own(change, line):
    assert run_line({**PLAYED, **change}, {"score": 2.0}) == line


def test_a_terminal_gets_one_line_that_is_rewritten():
    file, clock = Terminal(), Clock()
    display = TerminalBar(Console(file), plain_bar, lambda: 80)
    report = StudyReport({"study": "optimizers", "env": "Catch-v0"}, "runs.csv", display, clock)
    report.print_start(1_000, 0)
    longest = dict(algo="one_step_sarsa", optimizer="shared_rmsprop", lr=1.23e-3, seed=50)
    for _ in range(3):
        clock.now += 0.6
        report.add_run({**PLAYED, **longest}, {"score": 1.0})
    start, line = screen(file.getvalue())
    assert start.startswith("Study of optimizers") and line.startswith("study [-----]   0%  9:58 left")
    report.print_stopped()
    assert screen(file.getvalue())[1:] == ["Stopped. runs.csv keeps the finished runs; the same command goes on.", ""]


@pytest.mark.parametrize(
    "playing, says",
    [
        ([], "waiting for a node"),
        ([Playing({}, "", 0)], "starting 1 trial"),
        ([Playing({}, "a", 1500), Playing({}, "", 0)], "1 trial on 1 node at T = 1,500, 1 starting"),
        ([Playing({}, "ab"[i % 2], i) for i in range(5)], "5 trials on 2 nodes at T = 0, 1, 2, 3 ..."),
    ],
)
def test_what_a_cluster_plays_is_said_in_a_few_words(playing, says):
    assert describe_playing(playing, "trial") == says
