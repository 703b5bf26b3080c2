"""The figure of a study: figure S5, figure 2, and figures 3 and 4 in one."""

import numpy as np

from numasync.tools.plots import (
    COLOURS,
    HEIGHT,
    NAMES,
    SPARE_COLOURS,
    STEP_UNITS,
    STYLE,
    THICK,
    TIME_UNITS,
    WIDTH,
    draw_legend,
    drawing_library,
    file_paths,
    rendered,
    write,
)
from numasync.training.report import counted
from numasync.tools.studies.plan import STUDIES, THREADS, TURNS
from numasync.tools.studies.speedup import mean_curve

OPTIMIZER_NAMES = {"momentum_sgd": "momentum SGD", "rmsprop": "RMSProp", "shared_rmsprop": "shared RMSProp"}
OPTIMIZER_COLOURS = dict(zip(OPTIMIZER_NAMES, SPARE_COLOURS))
# From few workers to many, from light to dark: matplotlib's viridis without its yellow.
WORKER_COLOURS = {1: "#bddf26", 2: "#5ec962", 4: "#21918c", 8: "#3b528b", 16: "#440154"}

DOT = dict(marker="o", ms=4.5, mec="white", mew=0.4, alpha=0.85)
DIVERGED = dict(marker="x", ms=6, mew=1.4, ls="none")
DIVERGED_LABEL, DIVERGED_COLOUR = "diverged", "#555555"
MEAN_WIDTH, BAND_ALPHA = 1.8, 0.15
LR_MARGIN = 1.2


def draw_study(rows, settings, out):
    """Draw the rows of a study's table and return the paths of the two files, `out`.png and `out`.svg. Raises
    InputError, as `plots.plot`, where matplotlib is missing or a file cannot be written."""
    paths = file_paths(out)
    Figure, style = drawing_library()
    with style.context(["default", STYLE]):
        figure = Figure((WIDTH, HEIGHT), layout="constrained")
        figure.suptitle(settings["env"])
        DRAWINGS[settings["study"]](figure, rows, settings)
        pictures = [rendered(figure, path.suffix[1:]) for path in paths]
    for path, picture in zip(paths, pictures):
        write(path, picture)
    return paths


def draw_optimizers(figure, rows, settings):
    """Figure S5: the scores of an optimiser's runs from the best to the worst, a line an optimiser, a panel an
    algorithm. Runs that diverged come last, at the bottom."""
    bottom = lowest(rows)
    for axes, algo in panels(figure, settings):
        for optimizer in STUDIES["optimizers"].optimizers:
            scores = np.sort([r["score"] for r in rows if (r["algo"], r["optimizer"]) == (algo, optimizer)])
            finite = scores[np.isfinite(scores)][::-1]
            colour = OPTIMIZER_COLOURS[optimizer]
            label = OPTIMIZER_NAMES[optimizer]
            axes.plot(np.arange(1, len(finite) + 1), finite, color=colour, lw=THICK, marker="o", ms=3, label=label)
            mark_diverged(axes, np.arange(len(finite) + 1, len(scores) + 1), bottom, colour)
        axes.set_xlabel("run, from the best to the worst")
    figure.axes[0].set_ylabel(score_label(settings))
    add_legend(figure)


def draw_lr(figure, rows, settings):
    """Figure 2: score against learning rate, a dot a run, a panel an algorithm. Runs that diverged are at the bottom."""
    bottom = lowest(rows)
    for axes, algo in panels(figure, settings):
        runs = [row for row in rows if row["algo"] == algo]
        ended = [row for row in runs if np.isfinite(row["score"])]
        axes.plot([row["lr"] for row in ended], [row["score"] for row in ended], ls="none", color=COLOURS[algo], **DOT)
        mark_diverged(axes, [row["lr"] for row in runs if not np.isfinite(row["score"])], bottom, COLOURS[algo])
        axes.set_xscale("log")
        axes.set_xlim(settings["lr_low"] / LR_MARGIN, settings["lr_high"] * LR_MARGIN)
        if settings["lr_high"] >= 10 * settings["lr_low"]:  # there is a power of ten, and room for no other number
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("learning rate")
    figure.axes[0].set_ylabel(score_label(settings))
    add_legend(figure)


def draw_threads(figure, rows, settings):
    """Figures 3 and 4: the mean score over the runs of each number of workers and its standard error, against actions
    of all workers (workers played in turns) in the upper row, against seconds (a thread a worker) in the lower one,
    the mean of the runs' seconds after as many actions. A column an algorithm."""
    algos = list(settings["presets"])
    grid = figure.subplots(2, len(algos), sharex="row", sharey=True, squeeze=False)
    looks = ("steps", TURNS, STEP_UNITS), ("seconds", THREADS, TIME_UNITS)
    for panel_row, (over, mode, units) in zip(grid, looks):
        of_mode = [row for row in rows if row["mode"] == mode]
        size, unit = unit_for(max(row[over] for row in of_mode), units)
        for axes, algo in zip(panel_row, algos):
            draw_workers(axes, [row for row in of_mode if row["algo"] == algo], mode, over, size, lowest(rows))
            axes.set_xlim(left=0)
            axes.locator_params(axis="x", nbins=5)
            axes.set_xlabel(unit)
        panel_row[0].set_ylabel(f"score (mean of {settings['runs']:,} runs)")
    for axes, algo in zip(grid[0], algos):
        axes.set_title(NAMES[algo], fontsize=10)
    add_legend(figure, 2 * HEIGHT)


def draw_workers(axes, rows, mode, over, size, bottom):
    """A panel of `draw_threads`: a line and its band a number of workers."""
    for workers in sorted({row["workers"] for row in rows}):
        colour = WORKER_COLOURS[workers]
        x, mean, error = mean_curve(rows, workers, mode, over)
        axes.plot(x / size, mean, color=colour, lw=MEAN_WIDTH, label=counted(workers, "worker"))
        axes.fill_between(x / size, mean - error, mean + error, color=colour, alpha=BAND_ALPHA, lw=0)
        ends = [row[over] / size for row in rows if row["workers"] == workers and not np.isfinite(row["score"])]
        mark_diverged(axes, ends, bottom, colour)


def panels(figure, settings):
    """(Axes, algorithm) side by side, each with the algorithm's name above it; they share the score."""
    algos = list(settings["presets"])
    grid = figure.subplots(1, len(algos), sharey=True, squeeze=False)[0]
    for axes, algo in zip(grid, algos):
        axes.set_title(NAMES[algo], fontsize=10)
    return list(zip(grid, algos))


def mark_diverged(axes, x, bottom, colour):
    if len(x):
        axes.plot(x, np.full(len(x), bottom), color=colour, label=DIVERGED_LABEL, **DIVERGED)


def lowest(rows):
    """The lowest score of all, where a run without one is drawn."""
    scores = [row["score"] for row in rows if np.isfinite(row["score"])]
    return min(scores, default=0.0)


def score_label(settings):
    episodes = {preset["final_eval_episodes"] for preset in settings["presets"].values()}
    return f"score (mean of {episodes.pop():,} episodes)"


def unit_for(longest, units):
    return next((size, unit) for start, size, unit in units if longest >= start)


def add_legend(figure, height=HEIGHT):
    """Each label of any panel once, below all; what diverged last, in no colour of a panel."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            found.setdefault(label, handle)
    if found.pop(DIVERGED_LABEL, None):
        found[DIVERGED_LABEL] = figure.axes[0].plot([], [], color=DIVERGED_COLOUR, **DIVERGED)[0]
    if found:
        draw_legend(figure, list(found.values()), list(found), height)


DRAWINGS = {"optimizers": draw_optimizers, "lr": draw_lr, "threads": draw_threads}
