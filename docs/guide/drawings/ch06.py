"""Chapter 6: a segment of three steps, played forward, and its returns, computed backward."""

from pathlib import Path

from matplotlib.figure import Figure

STATES = ("s_0", "s_1", "s_2", "s_3")
REWARDS = (1, 0, 2)
RETURNS = ("2", "2", "4", "V = 4")
BLUE, RED = "#1f77b4", "#c44e52"
ARROW = {"arrowstyle": "-|>", "lw": 2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 18}


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.5, 3.5), ylim=(-0.72, 1.35))
    axes.axis("off")
    for x, (state, value) in enumerate(zip(STATES, RETURNS, strict=True)):
        axes.text(x, 0.9, state, size=16, ha="center", va="center", bbox=box("circle,pad=0.35", BLUE))
        axes.text(x, 0, value, size=16, ha="center", va="center", bbox=box("round,pad=0.4", RED))
        axes.text(x, -0.33, f"R_{x}", size=13, ha="center", va="center", color=RED)
    for i, reward in enumerate(REWARDS):
        axes.annotate("", (i + 0.76, 0.9), (i + 0.24, 0.9), arrowprops={**ARROW, "color": BLUE})
        axes.text(i + 0.5, 1.03, f"r = {reward}", size=13, ha="center", color=BLUE)
        start = i + (0.66 if i == 2 else 0.82)
        axes.annotate("", (i + 0.18, 0), (start, 0), arrowprops={**ARROW, "color": RED})
        axes.text(i + 0.46, 0.13, f"{reward} + ½ · {RETURNS[i + 1][-1]}", size=13, ha="center", color=RED)
    axes.text(-0.42, 1.23, "the agent plays forward", size=13, color=BLUE)
    axes.text(-0.42, -0.64, "the returns are computed backward: R_i = r_i + gamma R_(i+1)", size=13, color=RED)
    figure.savefig(path, metadata={"Date": None})


def box(style: str, colour: str) -> dict:
    """Return the outline of a text."""
    return {"boxstyle": style, "fc": "white", "ec": colour, "lw": 2}
