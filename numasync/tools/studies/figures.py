"""The figure of a study: figure S5, figure 2, and figures 3 and 4 in one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numasync.tools.drawing import (
    COLOURS,
    HEIGHT,
    NAMES,
    SPARE_COLOURS,
    STEP_UNITS,
    STYLE,
    STYLE_LOCK,
    THICK,
    TIME_UNITS,
    WIDTH,
    choose_unit,
    draw_legend,
    import_matplotlib,
    picture_paths,
    render_all,
    write_pictures,
)
from numasync.tools.studies.plan import STUDIES, THREADS, TURNS
from numasync.tools.studies.speedup import mean_curve
from numasync.tools.studies.table import Row
from numasync.training.console import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPTIMIZER_NAMES = {"momentum_sgd": "momentum SGD", "rmsprop": "RMSProp", "shared_rmsprop": "shared RMSProp"}
OPTIMIZER_COLOURS = dict(zip(OPTIMIZER_NAMES, SPARE_COLOURS))
# More workers are darker: matplotlib's viridis without its yellow.
WORKER_COLOURS = {1: "#bddf26", 2: "#5ec962", 4: "#21918c", 8: "#3b528b", 16: "#440154"}

DOT: dict[str, Any] = dict(marker="o", ms=4.5, mec="white", mew=0.4, alpha=0.85)
DIVERGED: dict[str, Any] = dict(marker="x", ms=6, mew=1.4, ls="none")
DIVERGED_LABEL, DIVERGED_COLOUR = "diverged", "#555555"
MEAN_WIDTH, BAND_ALPHA = 1.8, 0.15
LR_MARGIN = 1.2


def draw_study(rows: Sequence[Row], settings: dict[str, Any], out: str | os.PathLike) -> tuple[Path, Path]:
    """Draw the figure of a study, and return the paths of the two files: `out`.png and `out`.svg.

    rows      the rows of its table
    settings  its settings
    out       the path of the two files without an ending

    Raises InputError where matplotlib is missing or a file cannot be written.
    """
    paths = picture_paths(out)
    figure_class, style = import_matplotlib()
    with STYLE_LOCK, style.context(["default", STYLE]):
        figure = figure_class((WIDTH, HEIGHT), layout="constrained")
        figure.suptitle(settings["env"])
        DRAWINGS[settings["study"]](figure, rows, settings)
        pictures = render_all(figure, paths)
    write_pictures(paths, pictures)
    return paths


def draw_optimizers(figure: "Figure", rows: Sequence[Row], settings: dict[str, Any]) -> None:
    """Draw figure S5: the scores of an optimiser's runs from the best to the worst.

    There is a line for each optimiser and a panel for each algorithm. Runs that diverged come last, at the bottom.
    """
    bottom = lowest_score(rows)
    for axes, algo in make_panels(figure, settings):
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


def draw_lr(figure: "Figure", rows: Sequence[Row], settings: dict[str, Any]) -> None:
    """Draw figure 2: score against learning rate.

    There is a dot for each run and a panel for each algorithm. Runs that diverged are at the bottom.
    """
    bottom = lowest_score(rows)
    for axes, algo in make_panels(figure, settings):
        runs = [row for row in rows if row["algo"] == algo]
        scored = [row for row in runs if np.isfinite(row["score"])]
        x, y = [row["lr"] for row in scored], [row["score"] for row in scored]
        axes.plot(x, y, ls="none", color=COLOURS[algo], **DOT)
        mark_diverged(axes, [row["lr"] for row in runs if not np.isfinite(row["score"])], bottom, COLOURS[algo])
        axes.set_xscale("log")
        axes.set_xlim(settings["lr_low"] / LR_MARGIN, settings["lr_high"] * LR_MARGIN)
        if settings["lr_high"] >= 10 * settings["lr_low"]:  # there is a power of ten, and room for no other number
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("learning rate")
    figure.axes[0].set_ylabel(score_label(settings))
    add_legend(figure)


def draw_threads(figure: "Figure", rows: Sequence[Row], settings: dict[str, Any]) -> None:
    """Draw figures 3 and 4: the mean score of each number of workers, and its standard error.

    There is a column for each algorithm. The upper row is over the steps of all workers, of the runs in turns. The
    lower row is over seconds, of the timed runs.
    """
    algos = list(settings["presets"])
    grid = figure.subplots(2, len(algos), sharex="row", sharey=True, squeeze=False)
    looks = ("steps", TURNS, STEP_UNITS), ("seconds", THREADS, TIME_UNITS)
    for panel_row, (over, mode, units) in zip(grid, looks):
        of_mode = [row for row in rows if row["mode"] == mode]
        size, unit = choose_unit(max(row[over] for row in of_mode), units)
        for axes, algo in zip(panel_row, algos):
            draw_workers(axes, [row for row in of_mode if row["algo"] == algo], mode, over, size, lowest_score(rows))
            axes.set_xlim(left=0)
            axes.locator_params(axis="x", nbins=5)
            axes.set_xlabel(unit)
        panel_row[0].set_ylabel(f"score (mean of {settings['runs']:,} runs)")
    for axes, algo in zip(grid[0], algos):
        axes.set_title(NAMES[algo], fontsize=10)
    add_legend(figure, 2 * HEIGHT)


def draw_workers(axes: "Axes", rows: Sequence[Row], mode: str, over: str, size: float, bottom: float) -> None:
    """Draw a panel of `draw_threads`: a line and its band for each number of workers.

    axes    the panel
    rows    the rows of points.csv of one algorithm and mode
    mode    TURNS or THREADS
    over    the column of x: 'steps' or 'seconds'
    size    the unit of x
    bottom  the score at which runs that diverged are marked
    """
    for workers in sorted({row["workers"] for row in rows}):
        colour = WORKER_COLOURS[workers]
        x, mean, error = mean_curve(rows, workers, mode, over)
        axes.plot(x / size, mean, color=colour, lw=MEAN_WIDTH, label=plural(workers, "worker"))
        axes.fill_between(x / size, mean - error, mean + error, color=colour, alpha=BAND_ALPHA, lw=0)
        ends = [row[over] / size for row in rows if row["workers"] == workers and not np.isfinite(row["score"])]
        mark_diverged(axes, ends, bottom, colour)


def make_panels(figure: "Figure", settings: dict[str, Any]) -> list[tuple["Axes", str]]:
    """Make a panel for each algorithm, side by side with one axis of scores. Return each with its algorithm."""
    algos = list(settings["presets"])
    grid = figure.subplots(1, len(algos), sharey=True, squeeze=False)[0]
    for axes, algo in zip(grid, algos):
        axes.set_title(NAMES[algo], fontsize=10)
    return list(zip(grid, algos))


def mark_diverged(axes: "Axes", x: Sequence[float] | np.ndarray, bottom: float, colour: str) -> None:
    """Draw a cross for each run that diverged.

    axes    the panel
    x       where
    bottom  the height of the crosses
    colour  their colour
    """
    if len(x):
        axes.plot(x, np.full(len(x), bottom), color=colour, label=DIVERGED_LABEL, **DIVERGED)


def lowest_score(rows: Sequence[Row]) -> float:
    """Return the lowest score of all rows. Runs that diverged are drawn there."""
    scores = [row["score"] for row in rows if np.isfinite(row["score"])]
    return min(scores, default=0.0)


def score_label(settings: dict[str, Any]) -> str:
    """Return the label of the axis of scores."""
    episodes = {preset["final_eval_episodes"] for preset in settings["presets"].values()}
    return f"score (mean of {episodes.pop():,} episodes)"


def add_legend(figure: "Figure", height: float = HEIGHT) -> None:
    """Draw the legend: each label of any panel once, and last the mark of runs that diverged.

    height: of the panels, in inches
    """
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            found.setdefault(label, handle)
    # The mark has the colours of several lines, so in the legend it is grey.
    if found.pop(DIVERGED_LABEL, None):
        found[DIVERGED_LABEL] = figure.axes[0].plot([], [], color=DIVERGED_COLOUR, **DIVERGED)[0]
    if found:
        draw_legend(figure, list(found.values()), list(found), height)


DRAWINGS = {"optimizers": draw_optimizers, "lr": draw_lr, "threads": draw_threads}
