"""The table of a sweep: a line for each run that has ended, with the options that distinguish it and its score."""

import csv
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

from numasync.errors import InputError
from numasync.tools.studies.table import write_table
from numasync.tools.sweeps.plan import NAME, OPTIONS

RESULTS: dict[str, type] = {"steps": int, "score": float, "training": float, "wall_s": float}

Row = dict[str, Any]


class SweepTable:
    """The table of a sweep, on disk.

    path    the file; it need not exist
    varied  the options that are columns
    runs    the runs of the sweep, see `plan.make_runs`

    Raises InputError where the file is damaged.
    """

    def __init__(self, path: Path, varied: Sequence[str], runs: Sequence[dict[str, Any]]) -> None:
        self.path, self.varied, self.runs = path, varied, runs
        self.columns: Mapping[str, type] = {"run": str, **dict.fromkeys(varied, str), **RESULTS}
        self.results: dict[str, Row] = self._read() if path.is_file() else {}

    def _read(self) -> dict[str, Row]:
        try:
            with open(self.path, newline="", encoding="utf-8") as file:
                lines = list(csv.DictReader(file))
            return {
                line["run"]: {name: kind(line[name]) if line[name] else nan for name, kind in RESULTS.items()}
                for line in lines
            }
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise InputError(f"{self.path} is damaged; delete it, and the finished runs fill it again.") from error

    def has(self, run: Row) -> bool:
        """Return whether a run has ended."""
        return run[NAME] in self.results

    def add(self, run: Row, result: Row) -> None:
        """Add a run that has ended. result: its row of RESULTS."""
        self.results[run[NAME]] = result
        write_table(self.path, self.columns, self.in_order())

    def in_order(self) -> list[Row]:
        """Return the rows in the order of the grid."""
        return [
            {"run": run[NAME], **{name: run[OPTIONS][name] for name in self.varied}, **self.results[run[NAME]]}
            for run in self.runs
            if self.has(run)
        ]
