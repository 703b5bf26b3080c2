"""Chapter 4: two patches share a pixel, so the two gradients of this pixel add up."""

from pathlib import Path

from matplotlib.figure import Figure

BLUE, RED = "#1f77b4", "#c44e52"
PIXELS = (1.0, 2.6, 4.2, 5.8)  # where the four pixels stand
SUMS = ("d00", "d01 + d10", "d11 + d20", "d21")


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 4.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 7), ylim=(0, 4.6))
    axes.axis("off")
    axes.text(0.35, 4.32, "forward: each patch reads two pixels", size=14, color=BLUE, va="center")
    axes.text(0.35, 0.28, "backward: each pixel adds up what its patches send back", size=14, color=RED, va="center")
    for i, x in enumerate(PIXELS):
        write_box(axes, x, 3.7, f"x{i}", BLUE)
        write_box(axes, x, 0.9, SUMS[i], RED)
    for place in range(3):
        middle = (PIXELS[place] + PIXELS[place + 1]) / 2
        write_box(axes, middle, 2.3, f"patch {place}", "black")
        for side in (0, 1):
            pixel, from_middle = PIXELS[place + side], middle + (0.3 if side else -0.3)
            draw_arrow(axes, (pixel, 3.42), (from_middle, 2.58), BLUE)
            draw_arrow(axes, (from_middle, 2.02), (pixel + (-0.12 if side else 0.12), 1.2), RED)
            label = middle + (0.2 if side else -0.2)
            axes.text(label, 1.5, f"d{place}{side}", size=12, color=RED, ha="center", va="center")
    figure.savefig(path, metadata={"Date": None})


def write_box(axes, x: float, y: float, text: str, colour: str) -> None:
    """Write a text in a box around (x, y)."""
    outline = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": colour, "lw": 2}
    axes.text(x, y, text, size=13, ha="center", va="center", bbox=outline)


def draw_arrow(axes, begin: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """Draw an arrow from one place to another."""
    style = {"arrowstyle": "-|>", "lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 15, "color": colour}
    axes.annotate("", end, begin, arrowprops=style)
