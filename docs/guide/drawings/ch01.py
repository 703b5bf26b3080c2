"""Chapter 1: a neuron. Values go from left to right, derivatives come back from right to left."""

from math import tanh
from pathlib import Path

from matplotlib.figure import Figure

W, X, B, T = 0.3, 2.0, -0.1, 0.9
BLUE, RED = "#1f77b4", "#c44e52"
ARROW = {"arrowstyle": "-|>", "lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 16}


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    s = W * X + B
    y = tanh(s)
    dy = 2 * (y - T)
    ds = dy * (1 - y**2)
    figure = Figure(figsize=(7, 4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 7), ylim=(0, 4))
    axes.axis("off")
    for height, name, value, slope in ((3.3, "x", X, ds * W), (2.2, "w", W, ds * X), (1.1, "b", B, ds)):
        write_box(axes, 0.62, height, f"{name} = {value}")
        axes.text(0.62, height - 0.42, f"d{name} = {slope:.3f}", color=RED, size=12, ha="center", va="center")
        axes.annotate("", (2.16, 2.2 + 0.3 * (height - 2.2)), (1.16, height), arrowprops={**ARROW, "color": BLUE})
    for place, name, value in ((2.65, "s", s), (4.4, "y", y), (6.28, "loss", (y - T) ** 2)):
        write_box(axes, place, 2.2, f"{name} = {value:.3f}")
    for begin, end, step, back in ((3.22, 3.83, "tanh", "1 - y²"), (4.97, 5.52, "(y - t)²", "2 (y - t)")):
        middle = (begin + end) / 2
        axes.annotate("", (end, 2.28), (begin, 2.28), arrowprops={**ARROW, "color": BLUE})
        axes.annotate("", (begin, 2.1), (end, 2.1), arrowprops={**ARROW, "color": RED})
        axes.text(middle, 2.62, step, color=BLUE, size=12, ha="center")
        axes.text(middle, 1.36, f"times\n{back}", color=RED, size=12, ha="center", va="center")
    axes.text(2.0, 3.05, "w x + b", color=BLUE, size=12, ha="center")
    axes.text(2.65, 1.78, f"ds = {ds:.3f}", color=RED, size=12, ha="center", va="center")
    axes.text(4.4, 1.78, f"dy = {dy:.3f}", color=RED, size=12, ha="center", va="center")
    axes.text(3.0, 3.66, "forward: values", color=BLUE, size=14)
    axes.text(3.0, 0.55, "backward: dname = d(loss)/d(name)", color=RED, size=14)
    axes.text(3.0, 0.2, "dx = ds w     dw = ds x     db = ds", color=RED, size=12)
    figure.savefig(path, metadata={"Date": None})


def write_box(axes, x: float, y: float, text: str) -> None:
    """Write a text in a box around (x, y)."""
    outline = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": BLUE, "lw": 2}
    axes.text(x, y, text, size=13, ha="center", va="center", bbox=outline)
