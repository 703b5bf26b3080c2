"""Studies for the tests: an executor that plays nothing, and the results that it makes up."""

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from numasync.tools.studies.plan import make_settings, runs_of
from numasync.tools.studies.runs import final_score, learning_curve

SMALL: dict[str, Any] = dict(runs=4, algos="a3c,nstep_q", steps=100, workers=2)
WALL = 1.5


def runs(name: str, **options: Any) -> list[dict[str, Any]]:
    """Return the runs of a study on CartPole."""
    return runs_of(make_settings(name, "CartPole-v1", **options))


def text(folder: Path, name: str = "runs.csv") -> str:
    """Return what is in a file of the study in `folder`/study."""
    return (folder / "study" / name).read_text()


class FakeExecutor:
    """An executor that plays nothing. `submit` returns a result with the score `score(run)`, at once.

    runs  the runs that it was given
    """

    def __init__(self, score: Callable[[dict], float] = lambda run: run["lr"] * 1000) -> None:
        self.score = score
        self.runs: list[dict[str, Any]] = []

    def submit(self, function: Callable, run: dict[str, Any]) -> Future:
        """Return the Future of a made-up result. A process must be able to take the function and the run."""
        pickle.loads(pickle.dumps((function, run)))
        self.runs.append(run)
        future: Future = Future()
        future.set_result(PLAYED[function](run, self.score(run)))
        return future


def fake_score(run: dict[str, Any], score: float) -> list[dict[str, Any]]:
    """Return the row of a run with this score."""
    return [dict(steps=run["max_steps"], score=score, training=score / 2, wall_s=WALL)]


def fake_curve(run: dict[str, Any], score: float) -> list[dict[str, Any]]:
    """Return a straight line from 0 to the score. Twice the workers need half the seconds and the same steps."""
    seconds = 8.0 / run["workers"]
    return [dict(steps=25 * i, seconds=seconds * i / 4, score=score * i / 4, left=4 - i) for i in range(5)]


# What takes the place of each function that an executor is given.
PLAYED = {final_score: fake_score, learning_curve: fake_curve}
