"""The folder of a study: its settings, and a table that grows by a few lines whenever a run is finished.

study.json   every setting of the study; another one is never continued with them
runs.csv     optimizers and lr: a line a run. No score: it diverged
points.csv   threads: a line a point of a curve, `left` is how many points of the same run follow. No score: it
             diverged there
"""

import csv
import io
import json
import os
from math import nan
from pathlib import Path

from numasync.errors import InputError
from numasync.runtime.files import append, write_atomically
from numasync.training.records import new_folder

SETTINGS, RUNS, POINTS = "study.json", "runs.csv", "points.csv"

# What tells a run from the others, with the type of each column.
IDENTITY = {
    "study": str, "env": str, "algo": str, "optimizer": str, "lr": float, "workers": int, "mode": str, "seed": int,
}  # fmt: skip
RUN_COLUMNS = {**IDENTITY, "steps": int, "score": float, "training": float, "wall_s": float}
POINT_COLUMNS = {**IDENTITY, "steps": int, "seconds": float, "score": float, "left": int}


def open_folder(out, settings):
    """The path of the folder of a study with these settings: made, or that of the same study, to be continued. Raises
    InputError, and writes nothing, where something else is there."""
    path = Path(out)
    if not os.path.isfile(path / SETTINGS):
        return new_folder(path, SETTINGS, settings)
    try:
        found = json.loads((path / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path / SETTINGS} is damaged; give another --out.") from error
    other = differences(found, json.loads(json.dumps(settings)))
    if other:
        raise InputError(f"{path} holds a study with other settings ({'; '.join(other)}); give another --out.")
    return path


def differences(found, wanted, name=""):
    """What differs between two values that JSON can hold, a phrase each; of dicts, by key."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        phrases = [differences(found.get(key), wanted.get(key), key) for key in {**found, **wanted}]
        return list(dict.fromkeys(phrase for some in phrases for phrase in some))
    if found == wanted:
        return []
    if isinstance(found, dict) or isinstance(wanted, dict):
        return [f"{name} only {'there' if wanted is None else 'here'}"]
    return [f"{name} is {found} there, {wanted} here"]


class Table:
    """A table on disk of the runs that are finished. rows: list of dicts, a number that is missing is nan.

    columns: name to type. Reading it drops what a kill has left behind: a line without an end, and the lines of a run
    that is not there to its last. Raises InputError where a line is damaged.
    """

    def __init__(self, path, columns):
        self.path, self.columns = Path(path), columns
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        self.rows = finished(self._read(text.split("\n")[:-1]))
        self.done = {identity(row) for row in self.rows}
        if text and text != head(columns) + lines(columns, self.rows):
            write_table(self.path, columns, self.rows)

    def has(self, run):
        """Whether a run, see `plan.runs_of`, is finished."""
        return identity(run) in self.done

    def add(self, run, results):
        """Append the rows of a finished run, of which `results` has what is not its identity, in one piece."""
        rows = [{**{name: run[name] for name in IDENTITY}, **result} for result in results]
        append(self.path, head(self.columns), lines(self.columns, rows))
        self.rows += rows
        self.done.add(identity(run))

    def rows_in_order_of(self, runs):
        """The rows, which stand in the order in which runs have ended, in that of `runs`."""
        place = {identity(run): i for i, run in enumerate(runs)}
        return sorted(self.rows, key=lambda row: place[identity(row)])

    def _read(self, lines):
        cells = list(csv.reader(lines))
        if cells and cells[0] != list(self.columns):
            raise InputError(f"{self.path} does not begin with the columns {','.join(self.columns)}; it is damaged.")
        return [self._parsed(number, line) for number, line in enumerate(cells[1:], 2)]

    def _parsed(self, number, line):
        try:
            pairs = zip(self.columns.items(), line, strict=True)
            return {name: kind(text) if text else nan for (name, kind), text in pairs}
        except ValueError as error:
            raise InputError(f"Line {number} of {self.path} is damaged; repair or delete it.") from error


def write_table(path, columns, rows):
    """Write rows, dicts, as a table of its own, whole or not at all."""
    text = head(columns) + lines(columns, rows)
    write_atomically(path, lambda file: file.write(text.encode()))


def head(columns):
    return ",".join(columns) + "\n"


def lines(columns, rows):
    """The text of rows."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([cell(row[name]) for name in columns] for row in rows)
    return file.getvalue()


def identity(run):
    """What tells a run, or the run of a row, from the others, as it stands in the table."""
    return tuple(cell(run[name]) for name in IDENTITY)


def finished(rows):
    """The rows of those runs that are there to their last; where two programs have played the same run, of the first."""
    blocks, block = {}, []
    for row in rows:
        if block and identity(row) != identity(block[0]):
            block = []
        block.append(row)
        if row.get("left", 0) == 0:
            blocks.setdefault(identity(row), block)
            block = []
    return [row for block in blocks.values() for row in block]


def cell(value):
    """The text of a value, with every digit that reading it again needs; empty where a number is missing."""
    if isinstance(value, float):
        return repr(float(value)) if value == value else ""
    return str(value)
