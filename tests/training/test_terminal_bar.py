"""The line at the bottom of a terminal: what it says at each width, and what is left of it."""

import io
import re
from types import SimpleNamespace

import pytest
from support.terminal import Terminal, screen, without_colours

from numasync.training.console import Console
from numasync.training.display import Event, PlainLines, Status
from numasync.training.terminal_bar import TerminalBar, choose_bar, choose_display, lay_out, plain_bar

PARTS = ("0:30 left", "return 436.4", "1.61M/s", "best 500.0 at 200k", "450k steps")
TRAINING = Status("training", 45, 100, 3.0, PARTS)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns and its display. Its `columns` can be changed."""
    monkeypatch.setenv("TERM", "xterm-256color")
    found = SimpleNamespace(file=Terminal(), columns=80)
    found.display = TerminalBar(Console(found.file), plain_bar, lambda: found.columns)
    return found


@pytest.mark.parametrize(
    "columns, line",
    [
        (11, "training"),
        (20, "training  45%"),
        (40, "training  45%  0:30 left  return 436.4"),
        (60, "training  45%  0:30 left  return 436.4  1.61M/s"),
        (80, "training [##---]   45%  0:30 left  return 436.4  1.61M/s  best 500.0 at 200k"),
        (
            120,
            "training [#########-----------]   45%  0:30 left  return 436.4  1.61M/s  best 500.0 at 200k  450k steps",
        ),
    ],
)
def test_a_wider_terminal_shows_more(columns, line):
    file = Terminal()
    TerminalBar(Console(file), plain_bar, lambda: columns).update(TRAINING)
    (found,) = screen(file.getvalue())
    assert " ".join(found.split()) == " ".join(line.split()) and len(found) <= columns - 3


def test_no_width_is_too_small_or_too_large():
    for width in range(1, 400):
        for status in (TRAINING, Status("restoring", 0, 0, 0.0), TRAINING._replace(done=101)):
            assert len(lay_out(status, width, plain_bar)) == width


def test_words_that_change_do_not_move_the_bar():
    lines = [lay_out(TRAINING._replace(parts=parts), 79, plain_bar) for parts in (PARTS, PARTS[:1], ())]
    assert len({line.index("]") for line in lines}) == 1


@pytest.mark.parametrize("done, percent", [(0, "0%"), (99.9, "99%"), (100, "100%"), (104, "100%")])
def test_a_hundred_percent_means_that_all_is_done(done, percent):
    assert lay_out(TRAINING._replace(done=done), 79, plain_bar).split("]")[1].split()[0] == percent


def test_a_stage_of_unknown_length_is_a_word():
    assert lay_out(Status("restoring", 0, 0, 0.0), 79, plain_bar).rstrip() == "restoring ..."


@pytest.mark.parametrize(
    "share, bar", [(0.0, "[--------]"), (0.5, "[####----]"), (0.99, "[#######-]"), (1, "[########]")]
)
def test_a_bar_of_plain_characters(share, bar):
    assert plain_bar(share, 10) == bar


def test_the_line_is_rewritten_twice_a_second(terminal):
    for tenth in range(20):
        terminal.display.update(TRAINING._replace(seconds=tenth / 10, done=tenth))
    _, *drawn = terminal.file.getvalue().split("\r")
    assert [re.search(r"(\d+)%", line)[1] for line in drawn] == ["0", "5", "10", "15"]
    assert "\n" not in terminal.file.getvalue() and {len(line.rstrip("\b")) for line in drawn} == {77}


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_what_a_terminal_shows_of_ctrl_c_has_room_after_the_words(terminal, columns):
    terminal.columns = columns
    terminal.display.update(TRAINING)
    (words,) = screen(terminal.file.getvalue())
    (seen,) = screen(terminal.file.getvalue() + "^C")
    assert seen == f"{words}^C" and len(seen) < columns


def test_a_new_stage_is_shown_at_once(terminal):
    terminal.display.update(TRAINING)
    terminal.display.update(TRAINING._replace(stage="evaluating", seconds=3.1))
    assert screen(terminal.file.getvalue())[0].startswith("evaluating [")


def test_nothing_is_left_of_the_line_where_an_event_is_printed(terminal):
    terminal.display.update(TRAINING)
    terminal.file.write("^C")  # what a terminal shows of Ctrl-C
    terminal.display.show(Event("end", ("Trained.",)))
    assert screen(terminal.file.getvalue()) == ["Trained.", ""]


def test_the_line_comes_again_below_an_event(terminal):
    terminal.display.update(TRAINING)
    terminal.display.show(Event("evaluation", ("An evaluation.",)))
    terminal.display.update(TRAINING._replace(seconds=3.1))
    first, second = screen(terminal.file.getvalue())
    assert first == "An evaluation." and second.startswith("training [")


def test_an_event_without_lines_leaves_the_line_alone(terminal):
    terminal.display.update(TRAINING)
    before = terminal.file.getvalue()
    terminal.display.show(Event("checkpoint", data={"steps": 3}))
    assert terminal.file.getvalue() == before


def test_clearing_empties_the_line_once(terminal):
    terminal.display.clear()
    assert terminal.file.getvalue() == "", "there is nothing to clear"
    terminal.display.update(TRAINING)
    terminal.display.clear()
    after = terminal.file.getvalue()
    assert screen(after) == [""] and after.endswith("\r")
    terminal.display.clear()
    assert terminal.file.getvalue() == after


def test_the_line_follows_the_width_of_the_terminal(terminal):
    for columns, seconds in ((80, 1.0), (40, 2.0), (0, 3.0)):
        terminal.columns = columns
        terminal.display.update(TRAINING._replace(seconds=seconds))
    assert [len(line.rstrip("\b")) for line in terminal.file.getvalue().split("\r")[1:]] == [77, 37, 1]


def test_the_width_is_the_terminals_own(monkeypatch):
    monkeypatch.setenv("COLUMNS", "47")
    file = Terminal()
    TerminalBar(Console(file), plain_bar).update(TRAINING)
    assert len(file.getvalue().rstrip("\b")) == 1 + 44


def test_only_a_terminal_that_can_rewrite_a_line_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_display(Terminal()), TerminalBar)
    assert isinstance(choose_display(io.StringIO()), PlainLines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_display(Terminal()), PlainLines)


def test_without_rich_a_bar_is_made_of_plain_characters(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich.console", None)  # as if it were not installed
    assert choose_bar(Terminal()) is plain_bar


def test_rich_draws_a_coloured_bar_that_fills_its_columns(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    bar = choose_bar(Terminal())
    for share in (0.0, 0.31, 0.5, 1.0):
        drawn = bar(share, 10)
        assert "\x1b[" in drawn and len(without_colours(drawn)) == 10
    assert bar(0.2, 10) != bar(0.8, 10)


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_rich_is_not_used_where_there_are_no_colours(monkeypatch, name, value):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    assert choose_bar(Terminal()) is plain_bar
