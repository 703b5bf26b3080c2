"""Learning curves of runs, as a PNG and an SVG file: score against actions and against wall time, side by side."""

import io
import itertools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numasync.errors import InputError
from numasync.runtime.checks import check_whole_number
from numasync.runtime.files import write_atomically
from numasync.training.records import EPISODE_COLUMNS, EVALUATION_COLUMNS, read_run

WINDOW = 100
KINDS = ("training", "evaluation")

# What an algorithm is called and its colour, the same in every picture (Okabe and Ito's, which the colour-blind tell
# apart); and what a second group of one algorithm gets, in turn.
NAMES = {"one_step_q": "one-step Q", "one_step_sarsa": "one-step Sarsa", "nstep_q": "n-step Q", "a3c": "A3C"}
COLOURS = {"one_step_q": "#009e73", "one_step_sarsa": "#cc79a7", "nstep_q": "#0072b2", "a3c": "#d55e00"}
SPARE_COLOURS = ("#56b4e9", "#e69f00", "#000000")
SPARE_DASHES = ("solid", "dashed", "dotted")

# (from which value of the axis on, what one of the unit is, its name)
STEP_UNITS = ((400_000, 1_000_000, "actions (millions)"), (10_000, 1_000, "actions (thousands)"), (0, 1, "actions"))
TIME_UNITS = ((14_400, 3_600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))

# A panel is some 300 points wide. All lines together are held to what keeps an SVG, 25 bytes a point, below 300 kB.
LINE_POINTS, ALL_POINTS = 300, 10_000

WIDTH, HEIGHT, LEGEND_LINE = 9.0, 3.7, 0.22  # inches; every line of the legend adds to the height
LEGEND_CHARACTERS = 116  # that fit beside each other
DPI = 160
THIN, THICK = 0.8, 2.2  # points
STYLE = {
    "font.size": 10,
    "axes.labelsize": 9.5,
    "figure.titlesize": 11,
    "axes.edgecolor": "#555555",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "figure.constrained_layout.wspace": 0.04,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "lines.solid_capstyle": "round",
    # Names of the parts of an SVG come out of this and not out of chance; and its text stays text.
    "svg.hashsalt": "numasync",
    "svg.fonttype": "none",
}


class Curve(NamedTuple):
    """A line to draw: float64 (n,) each, actions over all workers, seconds and score, in the order of the actions."""

    steps: np.ndarray
    seconds: np.ndarray
    score: np.ndarray


class Group(NamedTuple):
    """The Curves of the runs that share a colour and a mean."""

    label: str
    colour: str
    dashes: str
    curves: list


def plot(folders, out, window=WINDOW, of="training"):
    """Draw the learning curves of the runs in `folders` and return the paths of the two files, `out`.png and `out`.svg.

    folders: paths of runs, also of runs that are still going on; one that is given twice counts once.
    out: a path; a .png or .svg at its end is taken off.
    of: "training" for the mean of the last `window` training episodes (of all while fewer have ended), unclipped;
        "evaluation" for the mean of each evaluation beside the training.

    A thin line is a run; a thick one is the mean over the runs of an algorithm (on one environment, of one preset)
    where all of them have one. Both panels share the score; one is over actions of all workers, one over wall time.
    Raises InputError, one sentence, and writes nothing, where matplotlib is missing, an argument is none of the
    above, a folder is no run or a run has nothing to draw yet; and where a file cannot be written, which then stays
    as it was.
    """
    check_whole_number("window", window, 1)
    if of not in KINDS:
        raise InputError(f"{of!r} is nothing to draw; choose one of {', '.join(KINDS)}.")
    folders = list({Path(folder).resolve(): folder for folder in folders}.values())
    if not folders:
        raise InputError("There is no run to draw; give the folder of at least one.")
    paths = file_paths(out)
    Figure, style = drawing_library()
    runs = [read_run(folder) for folder in folders]
    curves = [curve_of(run, of, window) for run in runs]
    with style.context(["default", STYLE]):
        figure = Figure((WIDTH, HEIGHT), layout="constrained")
        figure.suptitle(common_env(runs))
        draw(figure, grouped([run.config for run in runs], curves), score_axis(of, window), of)
        pictures = [rendered(figure, path.suffix[1:]) for path in paths]
    for path, picture in zip(paths, pictures):
        write(path, picture)
    return paths


def file_paths(out):
    """The (PNG, SVG) paths of `out`. Raises InputError where no file can be there."""
    out = Path(out)
    name = out.stem if out.suffix.lower() in (".png", ".svg") else out.name
    paths = tuple(out.parent / f"{name}{suffix}" for suffix in (".png", ".svg"))
    for path in (out, *paths):
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory; name the pictures themselves, such as {path / 'curves'}.")
    if not os.path.isdir(out.parent):
        raise InputError(f"There is no folder {out.parent} for {out.name}; make it first.")
    return paths


def drawing_library():
    """matplotlib's Figure, which needs no display, and its styles. Raises InputError where it is missing."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError('Drawing needs matplotlib; pip install "numasync[plot]" installs it.') from error
    return Figure, matplotlib.style


def curve_of(run, of, window):
    """The Curve of a Run. Raises InputError where there is nothing to draw yet."""
    if of == "training":
        what, columns, table = "finished episode", EPISODE_COLUMNS, run.episodes
    else:
        what, columns, table = "evaluation", EVALUATION_COLUMNS, run.evaluations
    if not len(table):
        raise InputError(f"{run.path} has no {what} yet; leave it out or wait for its first.")
    column = dict(zip(columns, table.T))
    score = moving_mean(column["r"], window) if of == "training" else column["mean"]
    # The clocks of two workers that end an episode at once are not read in the order of their actions.
    return Curve(column["T"], np.maximum.accumulate(column["t"]), score)


def moving_mean(values, window):
    """The mean of each value and the window - 1 before it, of fewer at the beginning. values, result: float64 (n,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(sums))
    start = np.maximum(end - window, 0)
    return (sums[end] - sums[start]) / (end - start)


def grouped(configs, curves):
    """The Groups of runs, by algorithm, and by environment and preset where those differ between any two runs.
    configs: a dict for each of `curves`."""
    keys = [(config["algo"], config["env"], config.get("preset", "default")) for config in configs]
    _, several_envs, several_presets = (len(set(values)) > 1 for values in zip(*keys))
    spare = itertools.cycle([(colour, dashes) for dashes in SPARE_DASHES for colour in SPARE_COLOURS])
    groups, drawn = [], set()
    for key in sorted(set(keys), key=lambda key: (list(NAMES).index(key[0]), *key[1:])):
        algo, env, preset = key
        members = [curve for curve, own in zip(curves, keys) if own == key]
        words = [NAMES[algo]] + [env] * several_envs + [f"{preset} preset"] * several_presets
        label = ", ".join([*words, f"{len(members)} run{'s' * (len(members) != 1)}"])
        colour, dashes = next(spare) if algo in drawn else (COLOURS[algo], "solid")
        groups.append(Group(label, colour, dashes, members))
        drawn.add(algo)
    return groups


def common_env(runs):
    """The environment's id where all runs have one, else an empty text."""
    envs = {run.config["env"] for run in runs}
    return envs.pop() if len(envs) == 1 else ""


def score_axis(of, window):
    if of == "evaluation":
        return "score (mean of an evaluation)"
    if window == 1:
        return "score (single training episodes)"
    return f"score (mean of the last {window:,} training episodes)"


def draw(figure, groups, score_label, of):
    """Draw the two panels, each with every group, and one legend below both."""
    panels = figure.subplots(1, 2, sharey=True)
    lines = 2 * sum(len(group.curves) + 1 for group in groups)
    points = max(2, min(LINE_POINTS, ALL_POINTS // lines))
    marker = "o" if of == "evaluation" else ""
    for axes, field, units in zip(panels, ("steps", "seconds"), (STEP_UNITS, TIME_UNITS)):
        longest = max(getattr(curve, field)[-1] for group in groups for curve in group.curves)
        size, unit = next((size, unit) for start, size, unit in units if longest >= start)
        for group in groups:
            draw_group(axes, group, [(getattr(c, field) / size, c.score) for c in group.curves], points, marker)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(unit)
    panels[0].set_ylabel(score_label)
    draw_legend(figure, *panels[0].get_legend_handles_labels())


def draw_group(axes, group, lines, points, marker):
    """Draw a thin line a run and their mean as a thick one, or the only run thick. lines: (x, y) of each run, (n,)."""
    look = dict(color=group.colour, linestyle=group.dashes)
    if len(lines) == 1:
        axes.plot(*thinned(*lines[0], points), **look, lw=THICK, marker=marker, ms=4, label=group.label)
        return
    for x, y in lines:
        axes.plot(*thinned(x, y, points), **look, lw=THIN, alpha=0.45, marker=marker, ms=2.5)
    axes.plot(*thinned(*mean_line(lines), points), **look, lw=THICK, label=group.label)


def draw_legend(figure, handles, labels, height=HEIGHT):
    """Below the panels, where it hides no line; the figure grows by its height, the panels, `height` inches, stay as
    they are."""
    columns = max(1, min(len(labels), LEGEND_CHARACTERS // (max(map(len, labels)) + 6)))
    figure.set_figheight(height + LEGEND_LINE * -(-len(labels) // columns))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def mean_line(lines):
    """The mean over lines (x, y), each straight between its points, where all of them have one: (x, y), float64 (n,),
    n = 0 where there is no such place."""
    start, end = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    grid = np.unique(np.concatenate([x for x, _ in lines]))
    grid = grid[(start <= grid) & (grid <= end)]
    return grid, np.mean([np.interp(grid, x, y) for x, y in lines], axis=0)


def thinned(x, y, points):
    """At most `points` of the points of a line, evenly along x, with its first and its last one."""
    if len(x) <= points:
        return x, y
    kept = np.unique(np.searchsorted(x, np.linspace(x[0], x[-1], points)))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]


def rendered(figure, kind):
    """The bytes of a picture. Those of an SVG are the same whenever it is drawn."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def write(path, picture):
    try:
        write_atomically(path, lambda file: file.write(picture))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
