"""Chapter 10: C += A B, and the tile of C whose sums stay in registers."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

BLUE, RED, GREEN, GREY = "#1f77b4", "#c44e52", "#3a8a4a", "#777777"
# Corner, width and height of each matrix.
A, B, C = (0.6, 0.6, 4.0, 2.6), (5.2, 3.9, 4.2, 3.6), (5.2, 0.6, 4.2, 2.6)


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10), ylim=(-0.35, 8.2))
    axes.axis("off")
    for (x, y, width, height), name in ((A, "A"), (B, "B"), (C, "C")):
        block(axes, x, y, width, height, "white", GREY)
        axes.text(x - 0.12, y + height - 0.05, name, size=17, ha="right", va="top", color=GREY)
    block(axes, A[0], 1.6, A[2], 0.9, "#e4eef7", BLUE)
    block(axes, 6.3, B[1], 1.5, B[3], "#f9e5e6", RED)
    block(axes, 6.3, 1.6, 1.5, 0.9, "#cfe8d4", GREEN)
    draw_term(axes)
    axes.text(7.05, 2.05, "tile", size=14, ha="center", va="center", color=GREEN)
    axes.text(0.6, 7.9, "for each term p of the sum:", size=14, va="center")
    steps = ((7.15, "load 6 numbers of A", BLUE), (6.5, "load 2 vectors of B", RED), (5.85, "12 multiply-adds", GREEN))
    for y, words, colour in steps:
        axes.text(0.6, y, words, size=14, va="center", color=colour)
    axes.text(0.6, 4.9, "after the last term:", size=14, va="center")
    axes.text(0.6, 4.25, "add the tile to C, once", size=14, va="center", color=GREEN)
    axes.text(5, 0.05, "the 12 sums of the tile stay in registers", size=14, ha="center", color=GREEN)
    figure.savefig(path, metadata={"Date": None})


def draw_term(axes: Axes) -> None:
    """Draw term p: a column of the strip of A and a row of the strip of B, and where both go next."""
    block(axes, 2.1, 1.6, 0.22, 0.9, BLUE, BLUE)
    block(axes, 6.3, 5.9, 1.5, 0.22, RED, RED)
    head = {"arrowstyle": "-|>", "lw": 2, "mutation_scale": 16}
    axes.annotate("", (3.6, 2.05), (2.4, 2.05), arrowprops={**head, "color": BLUE})
    axes.annotate("", (7.05, 4.6), (7.05, 5.85), arrowprops={**head, "color": RED})
    axes.text(2.21, 2.62, "p", size=14, ha="center", color=BLUE)
    axes.text(7.93, 6.0, "p", size=14, va="center", color=RED)


def block(axes: Axes, x: float, y: float, width: float, height: float, fill: str, edge: str) -> None:
    """Draw a rectangle."""
    axes.add_patch(Rectangle((x, y), width, height, fc=fill, ec=edge, lw=1.8))
