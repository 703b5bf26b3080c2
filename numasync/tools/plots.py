"""Learning curves of runs, as a PNG and an SVG file: score against steps and against wall time, side by side."""

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numasync.errors import InputError, warn_of
from numasync.runtime.checks import as_folder, as_path, as_whole_number, check_choice, show
from numasync.tools.drawing import (
    COLOURS,
    HEIGHT,
    NAMES,
    SPARE_COLOURS,
    STEP_UNITS,
    STYLE,
    STYLE_LOCK,
    THICK,
    THIN,
    TIME_UNITS,
    WIDTH,
    choose_unit,
    draw_legend,
    import_matplotlib,
    picture_paths,
    render_all,
    write_pictures,
)
from numasync.training.console import plural
from numasync.training.records import EPISODE_COLUMNS, EVALUATION_COLUMNS, RunRecord, read_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 100
KINDS = ("training", "evaluation")

# With each colour, what distinguishes more groups than there are colours.
SPARE_DASHES = ("solid", "dashed", "dotted")

# A panel is about 300 points wide. The limit on all lines keeps an SVG, with 25 bytes a point, below 300 kB.
LINE_POINTS, ALL_POINTS = 300, 10_000

# The points of a line: x and y, float64 (n,) each.
Line = tuple[np.ndarray, np.ndarray]


class Curve(NamedTuple):
    """The curve of one run, in the order of its steps.

    steps    float64 (n,): steps over all workers
    seconds  float64 (n,): wall time
    score    float64 (n,)
    """

    steps: np.ndarray
    seconds: np.ndarray
    score: np.ndarray


class Group(NamedTuple):
    """Runs that share a colour and a mean.

    label   the text in the legend
    colour  the colour of all its lines
    dashes  the line style of matplotlib
    curves  the curve of each run
    """

    label: str
    colour: str
    dashes: str
    curves: list[Curve]


def plot(
    folders: Iterable[str | os.PathLike], out: str | os.PathLike, window: int = WINDOW, of: str = "training"
) -> tuple[Path, Path]:
    """Draw the learning curves of runs, and return the paths of the two files: `out`.png and `out`.svg.

    The left panel shows the score over the steps of all workers, the right panel over wall time. A thin line is one
    run. A thick line is the mean over all runs of an algorithm, where each of them has a curve. Runs on different
    environments, or with different presets, have a mean of their own.

    folders  the folders of the runs, which may still be going on; a folder that is given twice counts once
    out      the path of the two files without an ending; .png or .svg at its end is taken off
    window   how many training episodes a point is the mean of; fewer at the beginning of a curve
    of       'training': the unclipped scores of the training episodes
             'evaluation': the mean score of each evaluation, periodic and final

    Raises InputError, and writes nothing, where matplotlib is missing, where `window` or `of` is not allowed, where a
    folder is no folder of a run, and where no run has anything to draw yet. A young run among others is left out, with
    a warning. Raises InputError where a file cannot be written; an existing file then stays as it was.
    """
    window = as_whole_number("window", window, 1)
    check_choice(of, KINDS, "nothing to draw")
    folders = parse_folders(folders)
    paths = picture_paths(as_path("out", out))
    figure_class, style = import_matplotlib()
    runs = leave_out_young([read_run(folder) for folder in folders], of)
    curves = [make_curve(run, of, window) for run in runs]
    with STYLE_LOCK, style.context(["default", STYLE]):
        figure = figure_class((WIDTH, HEIGHT), layout="constrained")
        figure.suptitle(common_env(runs))
        draw_panels(figure, group_runs([run.config for run in runs], curves), score_label(of, window), of)
        pictures = render_all(figure, paths)
    write_pictures(paths, pictures)
    return paths


def parse_folders(folders: Any) -> list[Path]:
    """Return the folders of runs, each once. Raises InputError where there is none, or it is none."""
    if isinstance(folders, (str, bytes, os.PathLike)) or not isinstance(folders, Iterable):
        raise InputError(f"folders is {show(folders)}; it must be a list of the folders of runs.")
    paths = [as_folder("A folder", folder) for folder in folders]
    if not paths:
        raise InputError("There is no run to draw; give the folder of at least one.")
    return list({os.path.realpath(path): path for path in paths}.values())


def leave_out_young(runs: Sequence[RunRecord], of: str) -> list[RunRecord]:
    """Return the runs that have something to draw, and warn of the others. Raises InputError where none has."""
    old = [run for run in runs if len(run.episodes if of == "training" else run.evaluations)]
    noun = "finished episode" if of == "training" else "evaluation"
    for run in runs:
        if not old:
            raise InputError(f"{run.path} has no {noun} yet; leave it out or wait for its first.")
        if all(run is not other for other in old):
            warn_of(f"{run.path} has no {noun} yet; it is left out.")
    return old


def make_curve(run: RunRecord, of: str, window: int) -> Curve:
    """Return the curve of a run that has something to draw."""
    training = of == "training"
    table = run.episodes if training else run.evaluations
    column = dict(zip(EPISODE_COLUMNS if training else EVALUATION_COLUMNS, table.T))
    score = moving_mean(column["r"], window) if training else column["mean"]
    # Two workers that end an episode at the same moment read the clock in any order, so a later step can have an
    # earlier time.
    return Curve(column["T"], np.maximum.accumulate(column["t"]), score)


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return, for each value, the mean of it and the window - 1 values before it, or of fewer at the beginning.

    values, and the result: float64 (n,)
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(sums))
    start = np.maximum(end - window, 0)
    return (sums[end] - sums[start]) / (end - start)


def group_runs(configs: Sequence[dict[str, Any]], curves: Sequence[Curve]) -> list[Group]:
    """Return the groups of runs: by algorithm, and by environment and by preset where any two runs differ in it.

    configs, curves: the options and the curve of each run
    """
    keys = [(config["algo"], config["env"], config.get("preset", "default")) for config in configs]
    _, several_envs, several_presets = (len(set(values)) > 1 for values in zip(*keys))
    spare = itertools.cycle([(colour, dashes) for dashes in SPARE_DASHES for colour in SPARE_COLOURS])
    groups: list[Group] = []
    known = set()
    for key in sorted(set(keys), key=lambda key: (list(NAMES).index(key[0]), *key[1:])):
        algo, env, preset = key
        members = [curve for curve, own in zip(curves, keys) if own == key]
        words = [NAMES[algo]] + [env] * several_envs + [f"{preset} preset"] * several_presets
        label = ", ".join([*words, plural(len(members), "run")])
        colour, dashes = next(spare) if algo in known else (COLOURS[algo], "solid")
        groups.append(Group(label, colour, dashes, members))
        known.add(algo)
    return groups


def common_env(runs: Sequence[RunRecord]) -> str:
    """Return the id of the environment of all runs, or an empty text where they have several."""
    envs = {run.config["env"] for run in runs}
    return envs.pop() if len(envs) == 1 else ""


def score_label(of: str, window: int) -> str:
    """Return the label of the axis of scores."""
    if of == "evaluation":
        return "score (mean of an evaluation)"
    if window == 1:
        return "score (single training episodes)"
    return f"score (mean of the last {window:,} training episodes)"


def draw_panels(figure: "Figure", groups: Sequence[Group], label: str, of: str) -> None:
    """Draw the two panels, each with every group, and one legend below them. label: of the axis of scores."""
    panels = figure.subplots(1, 2, sharey=True)
    n_lines = 2 * sum(len(group.curves) + 1 for group in groups)
    points = max(2, min(LINE_POINTS, ALL_POINTS // n_lines))
    marker = "o" if of == "evaluation" else ""
    for axes, field, units in zip(panels, ("steps", "seconds"), (STEP_UNITS, TIME_UNITS)):
        end = max(getattr(curve, field)[-1] for group in groups for curve in group.curves)
        size, unit = choose_unit(end, units)
        for group in groups:
            draw_group(axes, group, [(getattr(c, field) / size, c.score) for c in group.curves], points, marker)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(unit)
    panels[0].set_ylabel(label)
    draw_legend(figure, *panels[0].get_legend_handles_labels())


def draw_group(axes: "Axes", group: Group, lines: Sequence[Line], points: int, marker: str) -> None:
    """Draw a thin line for each run and a thick one for their mean. A single run is drawn thick.

    axes    the panel
    group   the group
    lines   the line of each run
    points  how many points of a line are drawn at most
    marker  what marks each point; an empty text for nothing
    """
    look: dict[str, Any] = dict(color=group.colour, linestyle=group.dashes)
    if len(lines) == 1:
        axes.plot(*thin(*lines[0], points), **look, lw=THICK, marker=marker, ms=4, label=group.label)
        return
    for x, y in lines:
        axes.plot(*thin(x, y, points), **look, lw=THIN, alpha=0.45, marker=marker, ms=2.5)
    axes.plot(*thin(*mean_line(lines), points), **look, lw=THICK, label=group.label)


def mean_line(lines: Sequence[Line]) -> Line:
    """Return the mean of lines, over the range in which each of them has points.

    A line is straight between its points. The result has no points where there is no such range.
    """
    start, end = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    grid = np.unique(np.concatenate([x for x, _ in lines]))
    grid = grid[(start <= grid) & (grid <= end)]
    return grid, np.mean([np.interp(grid, x, y) for x, y in lines], axis=0)


def thin(x: np.ndarray, y: np.ndarray, points: int) -> Line:
    """Return at most `points` points of a line, evenly along x, with its first and its last point."""
    if len(x) <= points:
        return x, y
    kept = np.unique(np.searchsorted(x, np.linspace(x[0], x[-1], points)))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]
