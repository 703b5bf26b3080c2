"""Chapter 3: a row of the layer table names slices of theta and a block of the tape."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

GREEN, ORANGE, GREY = "#2a9d5c", "#d9822b", "#777777"
CELL, STEPS, ACTING = 0.34, 5, 2
# Parameters: name, where they begin in theta, how many, the colour of their layer.
SLICES = (("W", 0, 6, GREEN), ("b", 6, 3, GREEN), ("W", 9, 6, ORANGE), ("b", 15, 2, ORANGE))
ROWS = (("dense", "in -1, out 0, weights 0, biases 6", GREEN), ("relu", "in 0, out 0", GREEN))
ROWS += (("dense", "in 0, out 3, weights 9, biases 15", ORANGE),)


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 6.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 7), ylim=(0, 6.2))
    axes.axis("off")
    draw_theta(axes)
    draw_table(axes)
    draw_tape(axes)
    figure.savefig(path, metadata={"Date": None})


def draw_theta(axes) -> None:
    """Draw the vector of parameters with the slices of two layers."""
    axes.text(0.6, 5.8, "theta: one vector of 17 parameters", size=14, va="center")
    for name, at, size, colour in SLICES:
        for i in range(at, at + size):
            axes.add_patch(Rectangle((0.6 + i * CELL, 5.1), CELL, 0.4, fc=colour, ec="white", alpha=0.75))
        axes.text(
            0.6 + (at + size / 2) * CELL, 5.3, name, size=14, ha="center", va="center", color="white", weight="bold"
        )
        axes.text(0.6 + at * CELL, 4.93, at, size=12, ha="left", va="center", color=GREY)


def draw_table(axes) -> None:
    """Draw the rows of the layer table."""
    axes.text(0.6, 4.42, "the layer table: one row for each layer", size=14, va="center")
    for i, (kind, places, colour) in enumerate(ROWS):
        y = 3.72 - i * 0.44
        axes.add_patch(Rectangle((0.6, y), 17 * CELL, 0.4, fc="white", ec=colour, lw=2))
        axes.text(0.75, y + 0.2, kind, size=13, va="center", color=colour, weight="bold")
        axes.text(1.75, y + 0.2, places, size=13, va="center")


def draw_tape(axes) -> None:
    """Draw the observations and the blocks of the tape, with the row of one step marked."""
    axes.text(0.6, 2.42, "obs", size=14, va="center")
    axes.text(2.6, 2.42, "the tape: one block for each layer,", size=14, va="center")
    axes.text(2.6, 2.1, "one row for each step", size=14, va="center")
    for left, columns, colour in ((0.6, 2, GREY), (2.6, 3, GREEN), (4.6, 2, ORANGE)):
        for step in range(STEPS):
            for column in range(columns):
                place = (left + column * 2 * CELL / 1.6, 1.55 - step * 0.3)
                strong = 0.9 if step == ACTING else 0.3
                axes.add_patch(Rectangle(place, 2 * CELL / 1.6, 0.3, fc=colour, ec="white", alpha=strong))
    for begin, end in ((1.55, 2.5), (3.97, 4.5)):
        arrow = {"arrowstyle": "-|>", "lw": 2, "mutation_scale": 16, "color": "black"}
        axes.annotate("", (end, 1.1), (begin, 1.1), arrowprops=arrow)
    axes.text(5.6, 1.1, "step 2", size=13, va="center")
    axes.text(2.6, 0.13, "columns 0 to 2", size=12, va="center", color=GREY)
    axes.text(4.6, 0.13, "columns 3 and 4", size=12, va="center", color=GREY)
