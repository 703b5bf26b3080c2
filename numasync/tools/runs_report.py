"""What many runs print while they last and at their end."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from numasync.distributed.pool import Playing
from numasync.training.console import format_clock, plural
from numasync.training.display import Display, Event, Status

# Of how many runs on a cluster the steps are shown.
MOST_SHOWN = 4


class RunsReport:
    """Prints the progress and the end of many runs.

    kind     what they are together, such as 'study'
    title    what they are, the beginning of the first line
    path     the path of the table of the finished runs
    display  what shows it
    clock    returns seconds; only differences matter
    """

    def __init__(
        self,
        kind: str,
        title: str,
        path: str | os.PathLike,
        display: Display,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.kind, self.title, self.path, self.display, self.clock = kind, title, path, display, clock
        self.total = self.before = self.done = 0
        self.start, self.last = 0.0, ""
        self._lock = threading.Lock()  # a cluster says from another thread what it plays

    def describe(self, run: dict[str, Any], result: dict[str, Any]) -> str:
        """Return what distinguishes a run from the others, and its score. result: its last row of the table."""
        raise NotImplementedError

    def print_start(self, total: int, done: int) -> None:
        """Say what is played.

        total  all runs
        done   the runs that an earlier call has finished
        """
        self.total, self.before, self.done, self.start = total, done, done, self.clock()
        earlier = f", {done:,} of them finished before" if done else ""
        going = "; the first ones compile ..." if done < total else "."
        self.print_lines(f"{self.title}: {plural(total, 'run')}{earlier}{going}")

    def add_run(self, run: dict[str, Any], result: dict[str, Any]) -> None:
        """Count a finished run, and print a line if one is due. The arguments: see `describe`."""
        with self._lock:
            self.done += 1
            self.last = self.describe(run, result)
            if self.done < self.total:
                self._update(self.last)

    def show_playing(self, playing: Sequence[Playing]) -> None:
        """Say how far the runs on a cluster are, if it is time to."""
        with self._lock:
            if self.done < self.total:
                self._update(describe_playing(playing), self.last)

    def _update(self, *texts: str) -> None:
        """Show how far the runs are together. texts: what else to say, the most important first."""
        seconds, played = self.clock() - self.start, self.done - self.before
        left = f"{format_clock(seconds / played * (self.total - self.done))} left" if played else "- left"
        share = f"{self.done:>6,} of {self.total:,} runs ({self.done / self.total:4.0%})"
        line = "  ".join([share, left, texts[0]])
        self.display.update(Status(self.kind, self.done, self.total, seconds, (left, *filter(None, texts)), line))

    def print_end(self) -> None:
        """Say how many runs were finished, and where the table is."""
        finished = self.done - self.before
        if finished:
            self.print_lines(f"{plural(finished, 'run')} in {format_clock(self.clock() - self.start)}.")
        self.print_lines(f"Table: {self.path}")

    def print_stopped(self) -> None:
        """Say that the runs were stopped and can be continued."""
        self.print_lines(f"Stopped. {self.path} keeps the finished runs; the same command goes on.")

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        with self._lock:
            self.display.show(Event("lines", lines))


def describe_playing(playing: Sequence[Playing], noun: str = "run") -> str:
    """Return in a few words what is played on a cluster now: how many runs on how many nodes, and how far they are.

    playing  what is played
    noun     what a run is called
    """
    begun = [run for run in playing if run.node]
    if not begun:
        return f"starting {plural(len(playing), noun)}" if playing else "waiting for a node"
    nodes = len({run.node for run in begun})
    steps = ", ".join(f"{run.steps:,}" for run in begun[:MOST_SHOWN]) + (" ..." if len(begun) > MOST_SHOWN else "")
    starting = f", {len(playing) - len(begun)} starting" if len(begun) < len(playing) else ""
    return f"{plural(len(begun), noun)} on {plural(nodes, 'node')} at T = {steps}{starting}"
