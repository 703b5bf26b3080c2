"""Runs that are stopped in the middle, and the comparison of what two runs have written, for the tests of resume."""

from pathlib import Path
from typing import Any

import numpy as np

import numasync
from numasync.training import supervisor
from numasync.training.run import Run

MONITOR_WITHOUT_TIME, EVALUATIONS_WITHOUT_TIME = (0, 1, 3), (0, 2, 3, 4, 5, 6)


def look_often(monkeypatch: Any) -> None:
    """Have the supervisor look, and a checkpoint be due, as often as can be."""
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.002)
    monkeypatch.setattr(supervisor, "LEAST_SECONDS", 0.0)


def stop_at(monkeypatch: Any, *stops: int) -> None:
    """Have Ctrl-C come when T has passed each of these steps, once. A deterministic run stops at its next segment."""
    left, begin, pause, progress = list(stops), Run.__init__, Run._pause, Run._progress

    def is_due(run: Run) -> bool:
        return bool(left) and run.trainer.steps >= left[0]

    def stop(run: Run) -> None:
        if is_due(run):
            del left[: sum(stop <= run.trainer.steps for stop in left)]
            raise KeyboardInterrupt

    def begin_to_look(run: Run, *arguments: Any, **named: Any) -> None:
        begin(run, *arguments, **named)
        pause_at = run.supervisor.pause_at
        run.supervisor.pause_at = lambda steps: bool(pause_at and pause_at(steps)) or is_due(run)

    monkeypatch.setattr(Run, "__init__", begin_to_look)
    monkeypatch.setattr(Run, "_pause", lambda run: (pause(run), stop(run)))
    monkeypatch.setattr(Run, "_progress", lambda run, found: (progress(run, found), stop(run)))


def train_in_pieces(out: Path, **options: Any) -> tuple[numasync.Agent, int]:
    """Train, go on whenever the run is stopped, and return the agent and how often it went on."""
    agent, times = numasync.train(out=out, **options), 0
    while agent.result and agent.result["interrupted"]:
        agent, times = numasync.resume(out), times + 1
    return agent, times


def rows(path: Path, columns: tuple[int, ...]) -> list[list[str]]:
    """Return the lines of a table, with these columns alone. There are none where there is no file."""
    if not path.exists():
        return []
    lines = [line.split(",") for line in path.read_text().splitlines() if not line.startswith("#")]
    return [[line[column] for column in columns] for line in lines]


def check_equal(first: Path, second: Path) -> None:
    """Check that two runs have the same last parameters, episodes and evaluations, wall times aside."""
    thetas = [numasync.load(folder / "checkpoint.npz").theta for folder in (first, second)]
    np.testing.assert_array_equal(*thetas)
    for name, columns in (("monitor.csv", MONITOR_WITHOUT_TIME), ("evaluations.csv", EVALUATIONS_WITHOUT_TIME)):
        assert rows(first / name, columns) == rows(second / name, columns), name
