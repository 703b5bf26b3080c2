"""Ways to show what happens: lines for a file, JSON for a program, or nothing."""

import io
import json
from itertools import pairwise
from math import inf, nan

import pytest

from numasync.training.console import Console
from numasync.training.display import Event, JsonLines, PlainLines, Silent, Status, without_nan

EVENT = Event("end", ("Trained.", "Well."), {"steps": 7})


def status(seconds, stage="training", done=5, **more):
    return Status(stage, done, 10, seconds, ("left",), **more)


def moments(display, file, until, **more):
    """The seconds at which a display writes, of updates every tenth of a second."""
    found = []
    for tenth in range(10 * until):
        before = file.tell()
        display.update(status(tenth / 10, line="half", **more))
        if file.tell() > before:
            found.append(tenth / 10)
    return found


def test_a_file_gets_lines_less_and_less_often():
    file = io.StringIO()
    found = moments(PlainLines(Console(file)), file, until=600)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert found[0] == 0 and gaps[0] == pytest.approx(1.0, abs=0.11) and gaps[-1] == pytest.approx(60.0, abs=0.11)
    assert all(earlier <= later + 0.11 for earlier, later in pairwise(gaps)) and gaps[4] > 3 * gaps[0]
    assert file.getvalue() == "half\n" * len(found)


def test_a_file_gets_the_lines_of_events_and_nothing_of_a_status_without_a_line():
    file = io.StringIO()
    display = PlainLines(Console(file))
    for shown in (status(1.0), status(9.0, stage="compiling")):
        display.update(shown)
    display.show(Event("checkpoint", data={"steps": 3}))
    display.show(EVENT)
    display.clear()
    assert file.getvalue() == "Trained.\nWell.\n"


def test_a_program_gets_the_data_of_each_event_on_a_line():
    file = io.StringIO()
    display = JsonLines(Console(file))
    display.show(EVENT)
    display.show(Event("evaluation", ("A line.",), {"scores": {"mean": nan}, "best": True}))
    display.clear()
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {"event": "end", "steps": 7},
        {"event": "evaluation", "scores": {"mean": None}, "best": True},
    ]


def test_a_program_gets_a_status_once_a_second_and_where_a_stage_begins():
    file = io.StringIO()
    display = JsonLines(Console(file))
    assert moments(display, file, until=5) == pytest.approx([0, 1, 2, 3, 4], abs=0.11)
    display.update(status(4.2, stage="evaluating", done=6))
    display.update(status(0.0, stage="evaluating", done=0))  # its clock begins again
    display.update(status(0.9, stage="evaluating", done=9))
    display.update(status(1.0, stage="training", data={"steps": 3}, name="progress"))
    assert [json.loads(line) for line in file.getvalue().splitlines()[-3:]] == [
        {"event": "evaluating", "done": 6, "total": 10},
        {"event": "evaluating", "done": 0, "total": 10},
        {"event": "progress", "steps": 3},
    ]


class Flushed(io.StringIO):
    """Notes what was flushed."""

    flushed = ""

    def flush(self):
        self.flushed = self.getvalue()


@pytest.mark.parametrize("kind", [PlainLines, JsonLines])
def test_each_line_is_written_at_once(kind):
    file = Flushed()
    kind(Console(file)).show(EVENT)
    assert file.flushed == file.getvalue() != ""


def test_a_silent_display_prints_nothing(capsys):
    display = Silent()
    display.show(EVENT)
    display.update(status(1.0))
    display.clear()
    assert capsys.readouterr() == ("", "")


def test_numbers_that_are_not_finite_become_null():
    value = {"a": [1, nan, {"b": -inf}], "c": (inf, "nan", None, True), "d": 0.5}
    assert without_nan(value) == {"a": [1, None, {"b": None}], "c": [None, "nan", None, True], "d": 0.5}
