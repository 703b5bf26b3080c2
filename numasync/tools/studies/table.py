"""The folder of a study: its settings, and a table that grows by some lines whenever a run is finished.

study.json   every setting of the study; a study with other settings is never mixed into it
runs.csv     for optimizers and lr: a line for each run; the score is empty if the run diverged
points.csv   for threads: a line for each point of a curve; `left` is the number of points of the same run that follow;
             the last score is empty if the run diverged
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import nan
from pathlib import Path
from typing import Any

from numasync.config import rename_options
from numasync.errors import InputError
from numasync.runtime.files import append, write_atomically
from numasync.tools.settings_folder import open_with_settings

SETTINGS, RUNS, POINTS = "study.json", "runs.csv", "points.csv"

# The type of each column of a table.
Columns = Mapping[str, type]
Row = dict[str, Any]

# What distinguishes a run from the others.
IDENTITY: Columns = {
    "study": str,
    "env": str,
    "algo": str,
    "optimizer": str,
    "lr": float,
    "workers": int,
    "mode": str,
    "seed": int,
}
RUN_COLUMNS: Columns = {**IDENTITY, "steps": int, "score": float, "training": float, "wall_s": float}
POINT_COLUMNS: Columns = {**IDENTITY, "steps": int, "seconds": float, "score": float, "left": int}


def open_folder(out: str | os.PathLike, settings: dict[str, Any]) -> AbstractContextManager[Path]:
    """Give the folder of a study with these settings for the length of a `with` block, see `open_with_settings`."""
    return open_with_settings(out, settings, SETTINGS, "study", rename_presets)


def rename_presets(settings: Any) -> Any:
    """Return the settings in a study.json, with the old names that an earlier version gave to options replaced."""
    if not isinstance(settings, dict) or not isinstance(settings.get("presets"), dict):
        return settings
    presets = settings["presets"].items()
    return {**settings, "presets": {algo: rename_options(p) if isinstance(p, dict) else p for algo, p in presets}}


class Table:
    """The table of the finished runs of a study, on disk.

    A kill can leave a line without an end, or a run without its last lines. Both are dropped when the table is read.

    path     the file; it need not exist
    columns  the type of each column

    It also has these attributes:

    rows  a dict for each line; a missing number is nan
    done  the identities of the finished runs

    Raises InputError where a line is damaged.
    """

    def __init__(self, path: str | os.PathLike, columns: Columns) -> None:
        self.path, self.columns = Path(path), columns
        if os.path.lexists(self.path) and not self.path.is_file():
            raise InputError(f"{self.path} is no file; give another --out.")
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        self.rows = keep_finished_runs(self._read(text.split("\n")[:-1]))
        self.done = {identity(row) for row in self.rows}
        if text and text != format_header(columns) + format_rows(columns, self.rows):
            write_table(self.path, columns, self.rows)

    def has(self, run: Row) -> bool:
        """Return whether a run, see `plan.runs_of`, is finished."""
        return identity(run) in self.done

    def add(self, run: Row, results: Iterable[Row]) -> None:
        """Append the rows of a finished run in one piece. results: the columns that are not in IDENTITY."""
        rows = [{**{name: run[name] for name in IDENTITY}, **result} for result in results]
        append(self.path, format_header(self.columns), format_rows(self.columns, rows))
        self.rows += rows
        self.done.add(identity(run))

    def rows_in_order_of(self, runs: Sequence[Row]) -> list[Row]:
        """Return the rows in the order of `runs`. In the file they are in the order in which the runs have ended."""
        place = {identity(run): i for i, run in enumerate(runs)}
        return sorted(self.rows, key=lambda row: place[identity(row)])

    def _read(self, lines: Sequence[str]) -> list[Row]:
        cells = list(csv.reader(lines))
        if cells and cells[0] != list(self.columns):
            raise InputError(f"{self.path} does not begin with the columns {','.join(self.columns)}; it is damaged.")
        return [self._parse(number, line) for number, line in enumerate(cells[1:], 2)]

    def _parse(self, number: int, line: Sequence[str]) -> Row:
        """Return a line as a row. number: of the line in the file, from 1 on."""
        try:
            pairs = zip(self.columns.items(), line, strict=True)
            return {name: kind(text) if text else nan for (name, kind), text in pairs}
        except ValueError as error:
            raise InputError(f"Line {number} of {self.path} is damaged; repair or delete it.") from error


def write_table(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    """Replace a file by a table, atomically."""
    text = format_header(columns) + format_rows(columns, rows)
    write_atomically(path, lambda file: file.write(text.encode()))


def format_header(columns: Columns) -> str:
    """Return the first line of a table."""
    return ",".join(columns) + "\n"


def format_rows(columns: Columns, rows: Iterable[Row]) -> str:
    """Return rows as the lines of a table."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([format_cell(row[name]) for name in columns] for row in rows)
    return file.getvalue()


def format_cell(value: Any) -> str:
    """Return a value as text, with every digit that is needed to read the same value again; nan is an empty text."""
    if isinstance(value, float):
        return repr(float(value)) if value == value else ""
    return str(value)


def identity(run: Row) -> tuple[str, ...]:
    """Return what distinguishes a run, or the run of a row, from the others, as it is written in the table."""
    return tuple(format_cell(run[name]) for name in IDENTITY)


def keep_finished_runs(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the runs that are complete. A run that two programs have played counts once."""
    blocks: dict[tuple[str, ...], list[Row]] = {}
    block: list[Row] = []
    for row in rows:
        if block and identity(row) != identity(block[0]):
            block = []
        block.append(row)
        if row.get("left", 0) == 0:
            blocks.setdefault(identity(row), block)
            block = []
    return [row for block in blocks.values() for row in block]
