"""How much sooner more workers reach a score: table 2, and the same counted in actions, which is data efficiency."""

from math import nan

import numpy as np

from numasync.plots import NAMES, mean_line
from numasync.studies.plan import THREADS, TURNS

# The reference is this far on the way from one worker's first score to its highest, both of the mean over its runs; of
# those in turns and those that were timed, which are looked at in different places, to the lower one's.
REFERENCE = 0.8

COLUMNS = {
    "env": str, "algo": str, "workers": int, "reference": float, "steps": float, "steps_speedup": float,
    "seconds": float, "speedup": float,
}  # fmt: skip


def speedups(rows):
    """The rows of speedups.csv, see COLUMNS, from those of points.csv: by algorithm and number of workers, the actions
    and the seconds after which the mean curve reaches the algorithm's reference score, and how many times sooner that
    is than with one worker. nan where it does not get there or nothing was timed."""
    found = []
    for algo in dict.fromkeys(row["algo"] for row in rows):
        of_algo = [row for row in rows if row["algo"] == algo]
        reference = reference_score(lines(of_algo, 1, mode, "steps") for mode in (TURNS, THREADS))
        numbers = sorted({row["workers"] for row in of_algo})
        steps = [time_to(of_algo, workers, TURNS, "steps", reference) for workers in numbers]
        seconds = [time_to(of_algo, workers, THREADS, "seconds", reference) for workers in numbers]
        for i, workers in enumerate(numbers):
            ratios = dict(steps_speedup=ratio(steps[0], steps[i]), speedup=ratio(seconds[0], seconds[i]))
            row = dict(env=rows[0]["env"], algo=algo, workers=workers, reference=reference)
            found.append({**row, "steps": steps[i], "seconds": seconds[i], **ratios})
    return found


def lines(rows, workers, mode, over):
    """The curves of that many workers, played in that mode, one a seed: (x, y) float64 (n,), x the column `over`. The
    curve of a run that diverged ends before."""
    curves = {}
    for row in rows:
        if (row["workers"], row["mode"]) == (workers, mode) and np.isfinite(row["score"]):
            curves.setdefault(row["seed"], []).append((row[over], row["score"]))
    return [tuple(np.array(points, np.float64).T) for points in curves.values()]


def reference_score(groups):
    """From groups of one worker's curves; nan where the mean of one does not rise above its start."""
    means = [mean_line(curves)[1] for curves in groups if curves]
    start, highest = means[0][0], min(mean.max() for mean in means)
    return float(start + REFERENCE * (highest - start)) if highest > start else nan


def time_to(rows, workers, mode, over, reference):
    """When the mean curve reaches the reference, in the unit of `over`; nan where it does not."""
    curves = lines(rows, workers, mode, over)
    return first_time(*mean_line(curves), reference) if curves else nan


def first_time(x, y, reference):
    """The first x at which the line (x, y), straight between its points, reaches the reference; nan if none."""
    reached = np.flatnonzero(y >= reference)
    if not len(reached):
        return nan
    i = reached[0]
    if i == 0:
        return float(x[0])
    return float(x[i - 1] + (reference - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1]))


def ratio(one, many):
    return one / many if many else nan


def speedup_lines(found):
    """What `speedups` found as lines of text, in the form of table 2: one table over time and one over actions."""
    tables = ("speedup", "Speed-up in time to the reference score"), ("steps_speedup", "The same in actions")
    numbers = sorted({row["workers"] for row in found})
    text = []
    for column, title in tables:
        cells = [["", "reference", *(str(workers) for workers in numbers)]]
        for algo in dict.fromkeys(row["algo"] for row in found):
            of_algo = {row["workers"]: row for row in found if row["algo"] == algo}
            values = [of_algo[workers][column] for workers in numbers]
            cells.append([NAMES[algo], printed(of_algo[numbers[0]]["reference"], ".4g"), *(map(printed, values))])
        text += [f"{title}, by workers:", *aligned(cells)]
    return text


def aligned(cells):
    """Lines of texts as columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip() for first, *others in cells
    ]


def printed(value, form=".2f"):
    return format(value, form) if value == value else "-"
