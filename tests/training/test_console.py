"""Text on an output, and numbers as text."""

import io

import pytest
from support.terminal import Terminal

from numasync.errors import TroubleWarning
from numasync.training.console import Console, format_clock, format_short, plural


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


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (9.87, "9.87"),
        (950, "950"),
        (999.4, "999"),
        (999.7, "1k"),
        (1_612, "1.61k"),
        (45_000, "45k"),
        (999_499, "999k"),
        (999_501, "1M"),
        (12_345_678, "12.3M"),
        (2e9, "2G"),
    ],
)
def test_a_number_in_a_few_characters(number, text):
    assert format_short(number) == text


@pytest.mark.parametrize("number, text", [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1_000, "1,000 runs")])
def test_a_number_and_its_noun(number, text):
    assert plural(number, "run") == text


@pytest.mark.parametrize("term, rewritable", [("xterm-256color", True), ("dumb", False), ("unknown", False)])
def test_a_line_can_be_rewritten_on_a_terminal_that_is_not_dumb(monkeypatch, term, rewritable):
    monkeypatch.setenv("TERM", term)
    assert Console(Terminal()).is_terminal == rewritable and not Console(io.StringIO()).is_terminal


def test_a_program_without_an_output_prints_nothing(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    console = Console()
    console.print_lines("nowhere")
    assert not console.is_terminal


class Full(io.StringIO):
    """An output on a full disk."""

    tries = 0

    def write(self, text):
        self.tries += 1
        raise OSError(28, "No space left on device")


def test_an_output_that_is_full_is_one_warning_and_no_more_is_written_to_it():
    console = Console(Full())
    with pytest.warns(
        TroubleWarning, match="^The output cannot be written: No space left on device; the rest"
    ) as caught:
        console.print_lines("one", "two", "three")
    assert len(caught) == console.file.tries == 1


def test_an_output_that_nobody_reads_ends_the_run():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Console(Gone()).print_lines("a line")
