"""What a study prints while it lasts and at its end."""

import os
import time
from collections.abc import Callable
from typing import Any

from numasync.tools.runs_report import RunsReport
from numasync.training.console import plural
from numasync.training.display import Display


class StudyReport(RunsReport):
    """Prints the progress and the end of a study.

    settings  the settings of the study
    path      the path of the table of its finished runs
    display   what shows it
    clock     returns seconds; only differences matter
    """

    def __init__(
        self,
        settings: dict[str, Any],
        path: str | os.PathLike,
        display: Display,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__("study", f"Study of {settings['study']} on {settings['env']}", path, display, clock)

    def describe(self, run: dict[str, Any], result: dict[str, Any]) -> str:
        """Return what distinguishes a run within its study, and its score."""
        return run_line(run, result)


def run_line(run: dict[str, Any], result: dict[str, Any]) -> str:
    """Return what distinguishes a run within its study, and its score. A score of nan means that it diverged."""
    own = {
        "optimizers": f"{run['optimizer']}, lr {run['lr']:.2g}",
        "lr": f"lr {run['lr']:.2g}",
        "threads": f"{plural(run['workers'], 'worker')} in {run['mode']}",
    }
    score = f"{result['score']:.2f}" if result["score"] == result["score"] else "diverged"
    return f"{run['algo']}, {own[run['study']]}, seed {run['seed']}: {score}"
