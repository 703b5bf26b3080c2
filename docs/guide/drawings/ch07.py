"""Chapter 7: an LSTM cell above, and below it the steps of a segment with what goes forward and what comes back."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, RED, GREY = "#1f77b4", "#c44e52", "#555555"
HEAD = {"arrowstyle": "-|>", "lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 16}


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 7))
    draw_cell(figure.add_axes((0, 0.5, 1, 0.5)))
    draw_segment(figure.add_axes((0, 0, 1, 0.5)))
    figure.savefig(path, metadata={"Date": None})


def draw_cell(axes: Axes) -> None:
    """Draw c from left to right, and the gates that act on it."""
    axes.set(xlim=(0, 10), ylim=(0, 5))
    axes.axis("off")
    arrow(axes, (0.9, 4), (2.15, 4), BLUE)
    arrow(axes, (2.85, 4), (4.65, 4), BLUE)
    arrow(axes, (5.35, 4), (9.1, 4), BLUE)
    arrow(axes, (7.5, 4), (7.5, 2.95), BLUE)
    arrow(axes, (7.85, 2.6), (9.1, 2.6), BLUE)
    text(axes, 0.5, 4, "c", BLUE, size=17)
    text(axes, 9.5, 4, "c'", BLUE, size=17)
    text(axes, 9.5, 2.6, "h'", BLUE, size=17)
    text(axes, 8.05, 3.45, "tanh", BLUE)
    for x, y, sign in ((2.5, 4, "×"), (5, 4, "+"), (5, 2.6, "×"), (7.5, 2.6, "×")):
        text(axes, x, y, sign, "black", size=16, bbox=box("circle,pad=0.25", BLUE))
    arrow(axes, (5, 2.95), (5, 3.65), BLUE)
    for x, name, what in ((2.5, "f", "keep"), (4.2, "i", "write"), (5.8, "u", "new"), (7.5, "o", "show")):
        text(axes, x, 1.35, name, "black", size=16, bbox=box("round,pad=0.35", GREY))
        text(axes, x, 0.78, what, GREY)
    arrow(axes, (2.5, 1.8), (2.5, 3.65), GREY)
    arrow(axes, (4.3, 1.8), (4.8, 2.32), GREY)
    arrow(axes, (5.7, 1.8), (5.2, 2.32), GREY)
    arrow(axes, (7.5, 1.8), (7.5, 2.25), GREY)
    axes.plot((1.9, 8.1), (0.48, 0.48), color=GREY, lw=1.5)
    text(axes, 5, 0.17, "all four read x and h", GREY)


def draw_segment(axes: Axes) -> None:
    """Draw the steps of a segment, between the segment before and a new episode."""
    axes.set(xlim=(0, 10), ylim=(0, 5))
    axes.axis("off")
    for x, name in ((0.6, "…"), (2.8, "0"), (4.6, "1"), (6.4, "2"), (9, "3")):
        text(axes, x, 2.4, name, "black", size=16, bbox=box("round,pad=0.5", GREY))
    for left, right in ((1.1, 2.3), (3.25, 4.15), (5.05, 5.95)):
        arrow(axes, (left, 2.6), (right, 2.6), BLUE)
    for left, right in ((3.25, 4.15), (5.05, 5.95)):
        arrow(axes, (right, 2.2), (left, 2.2), RED)
    axes.plot((1.75, 1.75), (1.3, 3.5), color=RED, ls="--", lw=1.5)
    axes.plot((7.7, 7.7), (1.3, 3.5), color="black", ls="--", lw=1.5)
    text(axes, 4.6, 4.6, "h and c go forward, also from segment to segment", BLUE)
    text(axes, 1.75, 3.75, "segment begins", RED)
    text(axes, 7.7, 3.75, "episode begins", "black")
    text(axes, 1.75, 0.95, "dh, dc stop", RED)
    text(axes, 7.7, 0.95, "h = c = 0, and dh, dc stop", "black")
    text(axes, 4.6, 0.2, "dh and dc come back, inside a segment and an episode", RED)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """Draw an arrow."""
    axes.annotate("", end, start, arrowprops={**HEAD, "color": colour})


def text(axes: Axes, x: float, y: float, words: str, colour: str, size: int = 13, **options: object) -> None:
    """Write words around a point."""
    axes.text(x, y, words, color=colour, size=size, ha="center", va="center", **options)


def box(style: str, colour: str) -> dict:
    """Return the outline of a text."""
    return {"boxstyle": style, "fc": "white", "ec": colour, "lw": 2}
