"""How much sooner more workers reach a score: in seconds, as in table 2, and in steps, which is data efficiency."""

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import numpy as np

from numasync.tools.drawing import NAMES
from numasync.tools.plots import mean_line
from numasync.tools.studies.plan import THREADS, TURNS
from numasync.tools.studies.table import Row
from numasync.tools.text import align

# The reference score lies between the first and the highest score of one worker: first + REFERENCE (highest - first).
# One worker has two mean curves, in turns and timed, with points at different steps. The lower of their two highest
# scores counts, so that both curves reach the reference.
REFERENCE = 0.8

COLUMNS = {
    "env": str,
    "algo": str,
    "workers": int,
    "reference": float,
    "steps": float,
    "steps_speedup": float,
    "seconds": float,
    "speedup": float,
}


def speedups(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of speedups.csv, see COLUMNS, one for each algorithm and number of workers.

    `steps` and `seconds` say when the mean curve reaches the reference score of the algorithm. The two speed-ups are
    the quotients of one worker's number and this number. All are nan where the score is not reached or nothing was
    timed.

    rows: the rows of points.csv
    """
    found = []
    for algo in dict.fromkeys(row["algo"] for row in rows):
        of_algo = [row for row in rows if row["algo"] == algo]
        reference = reference_score(mean_curve(of_algo, 1, mode, "steps")[1] for mode in (TURNS, THREADS))
        numbers = sorted({row["workers"] for row in of_algo})
        steps = [time_to(of_algo, workers, TURNS, "steps", reference) for workers in numbers]
        seconds = [time_to(of_algo, workers, THREADS, "seconds", reference) for workers in numbers]
        for i, workers in enumerate(numbers):
            ratios = dict(steps_speedup=ratio(steps[0], steps[i]), speedup=ratio(seconds[0], seconds[i]))
            row = dict(env=rows[0]["env"], algo=algo, workers=workers, reference=reference)
            found.append({**row, "steps": steps[i], "seconds": seconds[i], **ratios})
    return found


def mean_curve(rows: Iterable[Row], workers: int, mode: str, over: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean curve of the runs with a number of workers in one mode.

    Runs are averaged at equal numbers of steps, and x is the mean of the column `over` at these steps. Averaging at
    equal seconds would stop at the fastest run's end. A run that diverged has no score at its end, and its curve ends
    earlier.

    rows     the rows of points.csv
    workers  the number of workers
    mode     TURNS or THREADS
    over     the column of x: 'steps' or 'seconds'

    Returns x, the mean score and its standard error, float64 (n,) each. n is 0 where there are no runs.
    """
    runs: dict[int, list[tuple[float, float, float]]] = {}
    for row in rows:
        if (row["workers"], row["mode"]) == (workers, mode) and np.isfinite(row["score"]):
            runs.setdefault(row["seed"], []).append((row["steps"], row[over], row["score"]))
    if not runs:
        return np.empty(0), np.empty(0), np.empty(0)
    curves = [np.array(points, np.float64).T for points in runs.values()]
    steps, score = mean_line([(steps, score) for steps, _, score in curves])
    _, x = mean_line([(steps, x) for steps, x, _ in curves])
    scores = [np.interp(steps, run_steps, run_score) for run_steps, _, run_score in curves]
    error = np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.zeros(len(steps))
    return x, score, error


def reference_score(means: Iterable[np.ndarray]) -> float:
    """Return the reference score, or nan where a mean curve does not rise above the start.

    means: the scores of the mean curves of one worker, float64 (n,) each
    """
    curves = [mean for mean in means if len(mean)]
    start, highest = curves[0][0], min(curve.max() for curve in curves)
    return float(start + REFERENCE * (highest - start)) if highest > start else nan


def time_to(rows: Iterable[Row], workers: int, mode: str, over: str, reference: float) -> float:
    """Return when a mean curve reaches the reference score, in the unit of `over`, or nan where it does not.

    rows, workers, mode, over  see `mean_curve`
    reference                  the score
    """
    x, score, _ = mean_curve(rows, workers, mode, over)
    return first_time(x, score, reference)


def first_time(x: np.ndarray, y: np.ndarray, reference: float) -> float:
    """Return the first x at which a line reaches the reference, or nan. The line is straight between its points."""
    reached = np.flatnonzero(y >= reference)
    if not len(reached):
        return nan
    i = reached[0]
    if i == 0:
        return float(x[0])
    return float(x[i - 1] + (reference - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1]))


def ratio(one: float, many: float) -> float:
    """Return one / many, or nan for many = 0."""
    return one / many if many else nan


def speedup_lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return two tables in the form of table 2, over seconds and over steps, as lines of text.

    found: see `speedups`
    """
    tables = ("speedup", "Speed-up in time to the reference score"), ("steps_speedup", "The same in steps")
    numbers = sorted({row["workers"] for row in found})
    text = []
    for column, title in tables:
        cells = [["", "reference", *(str(workers) for workers in numbers)]]
        for algo in dict.fromkeys(row["algo"] for row in found):
            of_algo = {row["workers"]: row for row in found if row["algo"] == algo}
            values = [format_number(of_algo[workers][column]) for workers in numbers]
            cells.append([NAMES[algo], format_number(of_algo[numbers[0]]["reference"], ".4g"), *values])
        text += [f"{title}, by workers:", *align(cells, left=(0,))]
    return text


def format_number(value: float, form: str = ".2f") -> str:
    """Return a number as text; nan is a dash."""
    return format(value, form) if value == value else "-"
