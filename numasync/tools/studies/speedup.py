"""How much sooner more workers reach a score: table 2, and the same counted in actions, which is data efficiency."""

from math import nan

import numpy as np

from numasync.tools.plots import NAMES, mean_line
from numasync.tools.studies.plan import THREADS, TURNS

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
        reference = reference_score(mean_curve(of_algo, 1, mode, "steps")[1] for mode in (TURNS, THREADS))
        numbers = sorted({row["workers"] for row in of_algo})
        steps = [time_to(of_algo, workers, TURNS, "steps", reference) for workers in numbers]
        seconds = [time_to(of_algo, workers, THREADS, "seconds", reference) for workers in numbers]
        for i, workers in enumerate(numbers):
            ratios = dict(steps_speedup=ratio(steps[0], steps[i]), speedup=ratio(seconds[0], seconds[i]))
            row = dict(env=rows[0]["env"], algo=algo, workers=workers, reference=reference)
            found.append({**row, "steps": steps[i], "seconds": seconds[i], **ratios})
    return found


def mean_curve(rows, workers, mode, over):
    """The mean curve of that many workers, played in that mode: (x, score, standard error of the score), float64 (n,);
    n = 0 where there is none.

    Runs are averaged where they have made the same number of actions, and x is the mean there of the column `over`. Of
    their means after so many seconds there would be none but up to the end of the fastest. A run that diverged ends
    before.
    """
    runs = {}
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


def reference_score(means):
    """From mean curves of one worker, (n,) scores each; nan where one does not rise above its start."""
    means = [mean for mean in means if len(mean)]
    start, highest = means[0][0], min(mean.max() for mean in means)
    return float(start + REFERENCE * (highest - start)) if highest > start else nan


def time_to(rows, workers, mode, over, reference):
    """When the mean curve reaches the reference, in the unit of `over`; nan where it does not."""
    x, score, _ = mean_curve(rows, workers, mode, over)
    return first_time(x, score, reference)


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
