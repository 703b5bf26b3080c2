"""What a sweep prints while it lasts and at its end."""

import json
from math import isfinite
from typing import Any

import numpy as np

from numasync.tools.runs_report import RunsReport
from numasync.tools.sweeps.plan import NAME
from numasync.tools.sweeps.table import SweepTable
from numasync.tools.text import align
from numasync.training.console import plural
from numasync.training.display import Display


class SweepReport(RunsReport):
    """Prints the progress and the end of a sweep.

    table    the runs that have ended
    display  what shows it
    """

    def __init__(self, table: SweepTable, display: Display) -> None:
        super().__init__("sweep", f"Sweep over {', '.join(table.varied)}", table.path, display)
        self.table = table

    def describe(self, run: dict[str, Any], result: dict[str, Any]) -> str:
        """Return the name of a run and its score. A score of nan means that it diverged."""
        return f"{run[NAME]}: {result['score']:.2f}" if isfinite(result["score"]) else f"{run[NAME]}: diverged"

    def print_means(self) -> None:
        """Print the mean score over the seeds for each combination of the other options, and its standard error."""
        groups: dict[str, list[dict[str, Any]]] = {}
        names = [name for name in self.table.varied if name != "seed"]
        for row in self.table.in_order():
            groups.setdefault(json.dumps([row[name] for name in names]), []).append(row)
        cells = [[*names, "seeds", "score", "error", "diverged"]]
        for rows in groups.values():
            scores = [row["score"] for row in rows if isfinite(row["score"])]
            mean = f"{np.mean(scores):.2f}" if scores else "-"
            error = f"{np.std(scores, ddof=1) / np.sqrt(len(scores)):.2f}" if len(scores) > 1 else "-"
            own = [str(rows[0][name]) for name in names]
            cells.append([*own, str(len(rows)), mean, error, str(len(rows) - len(scores))])
        if groups:
            self.print_lines(f"Mean score over {plural(max(map(len, groups.values())), 'seed')}:")
            self.print_lines(*align(cells, left=range(len(names))))
