"""Pictures of scores: the names, colours and style of all figures, their legend, and their two files."""

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from numasync.errors import InputError
from numasync.runtime.files import is_special, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The name and the colour of an algorithm, the same in every picture. Okabe and Ito chose these colours so that
# colour-blind readers can tell them apart. A second group of the same algorithm gets a spare colour.
NAMES = {"one_step_q": "one-step Q", "one_step_sarsa": "one-step Sarsa", "nstep_q": "n-step Q", "a3c": "A3C"}
COLOURS = {"one_step_q": "#009e73", "one_step_sarsa": "#cc79a7", "nstep_q": "#0072b2", "a3c": "#d55e00"}
SPARE_COLOURS = ("#56b4e9", "#e69f00", "#000000")

# Units of an axis: the lowest end of the axis that takes the unit, the size of the unit, and its name.
Units = Sequence[tuple[float, float, str]]
STEP_UNITS: Units = ((400_000, 1_000_000, "steps (millions)"), (10_000, 1_000, "steps (thousands)"), (0, 1, "steps"))
TIME_UNITS: Units = ((14_400, 3_600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))

WIDTH, HEIGHT, LEGEND_LINE = 9.0, 3.7, 0.22  # inches; every line of the legend adds to the height
LEGEND_CHARACTERS = 116  # what fits on one line of the legend
DPI = 160
THIN, THICK = 0.8, 2.2  # points
# Matplotlib's settings belong to the whole process. Whoever draws with STYLE holds the lock.
STYLE_LOCK = threading.RLock()
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
    # The ids inside an SVG are the same whenever it is drawn, and its text stays text.
    "svg.hashsalt": "numasync",
    "svg.fonttype": "none",
}


def import_matplotlib() -> tuple[type["Figure"], ModuleType]:
    """Return matplotlib's Figure, which needs no display, and its styles. Raises InputError where it is missing."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError('Drawing needs matplotlib; pip install "numasync[plot]" installs it.') from error
    return Figure, matplotlib.style


def picture_paths(out: str | os.PathLike) -> tuple[Path, Path]:
    """Return the paths of the PNG and the SVG of a figure. Raises InputError where no file can be there.

    out: the path without an ending; .png or .svg at its end is taken off
    """
    out = Path(out)
    name = out.stem if out.suffix.lower() in (".png", ".svg") else out.name
    png, svg = (out.parent / f"{name}{suffix}" for suffix in (".png", ".svg"))
    for path in (out, png, svg):
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory; name the pictures themselves, such as {path / 'curves'}.")
        if is_special(path):
            raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name other pictures.")
    if not os.path.isdir(out.parent):
        raise InputError(f"There is no folder {out.parent} for {out.name}; make it first.")
    return png, svg


def choose_unit(end: float, units: Units) -> tuple[float, str]:
    """Return the size and the name of the unit of an axis. end: the highest number on it."""
    return next((size, name) for lowest, size, name in units if end >= lowest)


def draw_legend(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], height: float = HEIGHT) -> None:
    """Draw the legend below the panels, where it hides no line. The figure grows, and the panels keep their size.

    figure   the figure
    handles  what matplotlib draws beside each label
    labels   the texts
    height   the height of the panels, in inches
    """
    columns = max(1, min(len(labels), LEGEND_CHARACTERS // (max(map(len, labels)) + 6)))
    figure.set_figheight(height + LEGEND_LINE * -(-len(labels) // columns))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def render(figure: "Figure", kind: str) -> bytes:
    """Return a picture as the bytes of a file, 'png' or 'svg'. An SVG has the same bytes whenever it is drawn."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def render_all(figure: "Figure", paths: Sequence[Path]) -> list[bytes]:
    """Return the bytes of each file in `paths`. The ending of a path says which kind of picture it is."""
    return [render(figure, path.suffix[1:]) for path in paths]


def write_pictures(paths: Sequence[Path], pictures: Sequence[bytes]) -> None:
    """Write files, each whole or not at all. Raises InputError where one cannot be written."""
    for path, picture in zip(paths, pictures):
        write_picture(path, picture)


def write_picture(path: Path, picture: bytes) -> None:
    """Write one file, whole or not at all. Raises InputError where it cannot be written."""
    try:
        write_atomically(path, lambda file: file.write(picture))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
