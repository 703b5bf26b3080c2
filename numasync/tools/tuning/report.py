"""What a tuning prints while it lasts and at its end."""

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numasync.distributed.pool import Playing
from numasync.tools.runs_report import describe_playing
from numasync.tools.text import align
from numasync.tools.tuning.storage import DIVERGED, TrialRow, best_of
from numasync.training.console import format_clock, plural
from numasync.training.display import Display, Event, Status

# How many of the best trials the table at the end shows.
SHOWN = 10


class TuningReport:
    """Prints the progress and the end of a tuning.

    settings  of the tuning
    folder    of the tuning
    display   what shows it
    clock     returns seconds; only differences matter
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        display: Display,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings, self.folder, self.display, self.clock = settings, folder, display, clock
        self.names = list(settings["space"])
        self.rows: list[TrialRow] = []
        self.total = self.before = 0
        self.start, self.last = 0.0, ""
        self._lock = threading.Lock()  # a cluster says from another thread what it plays

    def print_start(self, total: int, rows: list[TrialRow]) -> None:
        """Say what is searched. total: all trials. rows: the trials that an earlier call has ended."""
        self.total, self.before, self.rows, self.start = total, len(rows), list(rows), self.clock()
        fixed = self.settings["fixed"]
        earlier = f", {len(rows):,} are played already" if rows else ""
        going = "; the first ones compile ..." if len(rows) < total else "."
        what = f"{fixed['algo']} on {fixed['env']}, {fixed['steps']:,} steps a trial"
        self.print_lines(f"Tuning {', '.join(self.names)} of {what}: {plural(total, 'trial')}{earlier}{going}")

    def add_trial(self, row: TrialRow) -> None:
        """Count a trial that has ended, and print a line if one is due."""
        with self._lock:
            self.rows.append(row)
            self.last = f"trial {row.number}: {format_end(row)}, {format_options(row, self.names)}"
            self._update(self.last)

    def show_playing(self, playing: Sequence[Playing]) -> None:
        """Say how far the trials on a cluster are, if it is time to."""
        with self._lock:
            if len(self.rows) < self.total:
                self._update(describe_playing(playing, "trial"), self.last)

    def _update(self, *texts: str) -> None:
        """Show how far the tuning is. texts: what else to say, the most important first."""
        done, seconds = len(self.rows), self.clock() - self.start
        played = done - self.before
        left = f"{format_clock(seconds / played * max(self.total - done, 0))} left" if played else "- left"
        best = best_of(self.rows)
        score = f"best {best.score:.2f}" if best else "no best yet"
        line = f"{done:>6,} of {self.total:,} trials ({done / self.total:4.0%})  {left}  {score}  {texts[0]}"
        self.display.update(Status("tuning", done, self.total, seconds, (left, score, *filter(None, texts)), line))

    def print_end(self, best_file: Path | None) -> None:
        """Print the best trials, and the command that trains with the best one.

        best_file  the file of its options; None where no trial has finished
        """
        ended = len(self.rows) - self.before
        if ended:
            self.print_lines(f"{plural(ended, 'trial')} in {format_clock(self.clock() - self.start)}.")
        best = sorted((row for row in self.rows if row.score == row.score), key=lambda row: (-row.score, row.number))[
            :SHOWN
        ]
        if best:
            self.print_lines(*align(list(self._table(best)), left=()))
        if best_file is None:
            self.print_lines("No trial has finished, so there is no best one.")
        else:
            command = f"numasync train --config {shlex.quote(str(best_file))}"
            self.print_lines(f"The best trial again: {command}", f"With a seed to report: {command} --seed 1")

    def _table(self, rows: Iterable[TrialRow]) -> Iterable[list[str]]:
        yield ["trial", "score", "end", "seed", *self.names]
        for row in rows:
            values = [f"{row.options[name]:g}" for name in self.names]
            yield [str(row.number), f"{row.score:.2f}", row.end, str(row.options["seed"]), *values]

    def print_stopped(self) -> None:
        """Say that the tuning was stopped and can be continued."""
        self.print_lines(f"Stopped. {self.folder} keeps the trials that have ended; the same command goes on.")

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        with self._lock:
            self.display.show(Event("lines", lines))


def format_end(row: TrialRow) -> str:
    """Return how a trial has ended, in a few words."""
    return row.end if row.end == DIVERGED or row.score != row.score else f"{row.end} {row.score:.2f}"


def format_options(row: TrialRow, names: Iterable[str]) -> str:
    """Return the options that a trial has drawn, in a few words."""
    return ", ".join(f"{name} {row.options[name]:g}" for name in names)
