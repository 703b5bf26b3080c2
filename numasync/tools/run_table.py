"""The list of runs as text: a table for a terminal of any width, and JSON."""

from collections.abc import Sequence
from typing import Any

from numasync.errors import escape_unprintable
from numasync.tools.run_list import COLUMNS, RunRow
from numasync.tools.text import align, fold

# Headings of the table. 'of' says what the score is the mean of.
HEADINGS = [heading for name in COLUMNS for heading in ((name, "of") if name == "score" else (name,))]
NUMBERS = ("seed", "steps", "score", "time")
UNITS = {"G": 10**9, "M": 10**6, "k": 10**3}
UNKNOWN = "-"
MINUTE, MINUTE_OF_YEAR = "%Y-%m-%d %H:%M", "%m-%d %H:%M"


def run_table(rows: Sequence[RunRow], width: int | None = None) -> list[str]:
    """Return the lines of the table. width: of the terminal, in columns; None where a line can have any length.

    Where a terminal is too narrow the year is left out, and then a run takes several lines.
    """
    left = [i for i, heading in enumerate(HEADINGS) if heading not in NUMBERS]
    lines = align([HEADINGS, *(row_cells(row, MINUTE) for row in rows)], left)
    if width is None or max(map(len, lines)) <= width:
        return lines
    return fold([HEADINGS, *(row_cells(row, MINUTE_OF_YEAR) for row in rows)], left, width)


def row_cells(row: RunRow, start_format: str) -> list[str]:
    """Return the texts of a row, below HEADINGS. start_format: of the time when it started."""
    cells = [
        row.folder,
        UNKNOWN if row.started is None else row.started.strftime(start_format),
        row.algorithm or UNKNOWN,
        row.environment or UNKNOWN,
        UNKNOWN if row.seed is None else str(row.seed),
        f"{row.state} early" if row.state == "finished" and row.stopped_by else row.state,
        UNKNOWN if row.steps is None or row.planned is None else f"{short(row.steps)}/{short(row.planned)}",
        UNKNOWN if row.score is None else f"{row.score:.2f}",
        row.score_of or UNKNOWN,
        UNKNOWN if row.seconds is None else hours(row.seconds),
    ]
    return [escape_unprintable(cell) for cell in cells]


def row_json(row: RunRow) -> dict[str, Any]:
    """Return a row as JSON can hold it."""
    return {**row._asdict(), "started": row.started and row.started.isoformat(timespec="seconds")}


def short(number: int) -> str:
    """Return a number with three digits and a unit: 1.25M."""
    for name, unit in UNITS.items():
        if number >= 0.9995 * unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


def hours(seconds: float) -> str:
    """Return a time as h:mm:ss."""
    minutes, whole_seconds = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{whole_seconds:02}"
