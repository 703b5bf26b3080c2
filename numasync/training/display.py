"""What a run, a study or a warm-up shows of itself, and the ways to show it. `terminal_bar.py` has one more."""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from numasync.training.console import Console

# A file gets new lines, less and less often. A machine that reads JSON gets them at one pace.
FIRST_LINE_SECONDS, LINE_GROWTH, LONGEST_LINE_SECONDS = 1.0, 1.5, 60.0
JSON_SECONDS = 1.0


class Event(NamedTuple):
    """What has happened.

    name   a word for machines
    lines  the lines that a person reads; none where it is of no interest
    data   what a machine reads: values for JSON, by name
    """

    name: str
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = {}


class Status(NamedTuple):
    """How far a stage is.

    stage        a word for what is done now, such as 'training'
    done, total  how much of it is done; a total of 0 means that this is not known
    seconds      now, on a clock of the stage
    parts        short texts for one line of a terminal, the most important one first
    line         a line for a file; "" for none
    data         what a machine reads, if it is more than how much is done: values for JSON, by name
    name         a word for machines; by default the stage
    """

    stage: str
    done: int
    total: int
    seconds: float
    parts: tuple[str, ...] = ()
    line: str = ""
    data: Mapping[str, Any] = {}
    name: str = ""


class Display(Protocol):
    """A way to show what happens. Each of these methods raises BrokenPipeError where nobody reads the output."""

    def show(self, event: Event) -> None:
        """Show an event."""

    def update(self, status: Status) -> None:
        """Show how far a stage is, if it is time to. This is called often."""

    def clear(self) -> None:
        """Take a status off the screen, because another part of the program prints next."""


class Pace:
    """Says when a status is due: at once where a stage or its clock begins, and then in intervals.

    seconds  the first interval
    growth   by how much the next one is longer
    longest  the longest one
    """

    def __init__(self, seconds: float, growth: float = 1.0, longest: float = math.inf) -> None:
        self.interval, self.growth, self.longest = seconds, growth, longest
        self.stage, self.seconds, self.due = "", 0.0, 0.0

    def is_due(self, status: Status) -> bool:
        """Return whether a status is due. If it is, an interval begins."""
        if status.stage == self.stage and self.seconds <= status.seconds < self.due:
            return False
        self.stage, self.seconds, self.due = status.stage, status.seconds, status.seconds + self.interval
        self.interval = min(self.growth * self.interval, self.longest)
        return True

    def hurry(self) -> None:
        """Let the next status be due."""
        self.due = self.seconds


class Silent:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Do nothing."""

    def update(self, status: Status) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""


class PlainLines:
    """Prints lines, for a file, a pipe or a terminal that can do no more."""

    def __init__(self, console: Console) -> None:
        self.console, self.pace = console, Pace(FIRST_LINE_SECONDS, LINE_GROWTH, LONGEST_LINE_SECONDS)

    def show(self, event: Event) -> None:
        """Print the lines of an event."""
        self.console.print_lines(*event.lines)

    def update(self, status: Status) -> None:
        """Print the line of a status, if it has one that is due."""
        if status.line and self.pace.is_due(status):
            self.console.print_lines(status.line)

    def clear(self) -> None:
        """Do nothing. A line stays where it is."""


class JsonLines:
    """Prints each event and each status that is due as a JSON object on a line, for other programs."""

    def __init__(self, console: Console) -> None:
        self.console, self.pace = console, Pace(JSON_SECONDS)

    def show(self, event: Event) -> None:
        """Print the data of an event."""
        self._print(event.name, event.data)

    def update(self, status: Status) -> None:
        """Print the data of a status, or how much is done where it has none."""
        if self.pace.is_due(status):
            self._print(status.name or status.stage, status.data or {"done": status.done, "total": status.total})

    def clear(self) -> None:
        """Do nothing. A line stays where it is."""

    def _print(self, name: str, data: Mapping[str, Any]) -> None:
        self.console.print_lines(json.dumps({"event": name, **without_nan(data)}, allow_nan=False))


def without_nan(value: Any) -> Any:
    """Return a value for JSON, with None in the place of each number that is NaN or infinite."""
    if isinstance(value, Mapping):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
