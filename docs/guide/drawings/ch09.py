"""Chapter 9: threads A and B read the same number, and one of their two updates is lost."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, RED, GREY = "#1f77b4", "#c44e52", "#555555"
LANES = {"A": (3.0, BLUE), "memory": (1.75, GREY), "B": (0.5, RED)}
# (time, thread, what it does, what the memory holds then)
LOST = ((1, "A", "read 0", 0), (2, "B", "read 0", 0), (3, "A", "write 1", 1), (4, "B", "write 1", 1))
KEPT = ((1, "A", "read 0", 0), (2, "A", "write 1", 1), (3, "B", "read 1", 1), (4, "B", "write 2", 2))


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 7), layout="constrained")
    above, below = figure.subplots(2, 1)
    draw_order(above, "They meet: two updates, one arrives", LOST)
    draw_order(below, "They do not meet: both arrive", KEPT)
    figure.savefig(path, metadata={"Date": None})


def draw_order(axes: Axes, title: str, order: tuple[tuple[int, str, str, int], ...]) -> None:
    """Draw what two threads do, from left to right."""
    axes.set(xlim=(-0.35, 4.7), ylim=(-0.1, 3.55))
    axes.axis("off")
    axes.set_title(title, size=15, loc="left")
    for name, (y, colour) in LANES.items():
        axes.plot((0.55, 4.6), (y, y), color=colour, lw=1, zorder=0)
        axes.text(0.4, y, name, size=14, color=colour, ha="right", va="center")
    for time, thread, action, value in order:
        (y, colour), (memory, grey) = LANES[thread], LANES["memory"]
        label(axes, time, y, action, colour)
        label(axes, time, memory, str(value), grey)
        ends = ((time, memory), (time, y)) if action.startswith("read") else ((time, y), (time, memory))
        shrink = {"shrinkA": 16, "shrinkB": 16, "mutation_scale": 16}
        axes.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "-|>", "lw": 2, "color": colour, **shrink})
    axes.text(4.6, -0.08, "time", size=13, color=GREY, ha="right", va="bottom")


def label(axes: Axes, x: float, y: float, words: str, colour: str) -> None:
    """Write words in a box."""
    box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": colour, "lw": 2}
    axes.text(x, y, words, size=13, ha="center", va="center", bbox=box)
