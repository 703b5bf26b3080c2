"""One run of a sweep, from plain data to plain data. An executor is given `play_run`."""

from typing import Any

from numasync.distributed.on_node import FOLDER
from numasync.tools.studies.runs import score_run
from numasync.tools.sweeps.plan import as_arguments


def play_run(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Train as a run says, see `plan.make_runs`, in its folder, and return its one row, see `score_run`."""
    return [score_run(as_arguments(run), run[FOLDER])]
