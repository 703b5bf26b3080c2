"""Chapter 2: the answer of the trained network over the plane, and where its hidden neurons begin to rise."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([[0.0], [1.0], [1.0], [0.0]])
LOW, HIGH = -0.4, 1.4


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    w1, b1, w2, b2 = train()
    line = np.linspace(LOW, HIGH, 121)
    x1, x2 = np.meshgrid(line, line)
    plane = np.stack([x1.ravel(), x2.ravel()], axis=1)
    answer = (np.maximum(plane @ w1 + b1, 0) @ w2 + b2).reshape(x1.shape)
    figure = Figure(figsize=(7, 5.4))
    axes = figure.add_axes((0.11, 0.12, 0.71, 0.84))
    levels = np.linspace(-0.5, 1.5, 13)
    filled = axes.contourf(x1, x2, answer, levels, cmap="RdBu_r", extend="both")
    for weight, bias in zip(w1.T, b1):
        axes.contour(
            x1, x2, weight[0] * x1 + weight[1] * x2 + bias, [0], colors="black", linestyles=":", linewidths=1.5
        )
    for (a, b), target in zip(INPUTS, XOR[:, 0]):
        outline = {"boxstyle": "circle,pad=0.3", "fc": "white", "ec": "black", "lw": 2}
        axes.text(a, b, f"{target:.0f}", size=16, ha="center", va="center", bbox=outline)
    axes.set(xlabel="x1", ylabel="x2", xticks=(0, 1), yticks=(0, 1), xlim=(LOW, HIGH), ylim=(LOW, HIGH))
    colours = figure.colorbar(filled, cax=figure.add_axes((0.85, 0.12, 0.035, 0.84)), ticks=(0, 0.5, 1))
    colours.set_label("answer", labelpad=3)
    figure.savefig(path, metadata={"Date": None})


def train() -> tuple[np.ndarray, ...]:
    """Return the parameters of the chapter's program after its 101 steps."""
    rng = np.random.default_rng(0)
    w1, b1 = rng.uniform(-1, 1, (2, 8)), np.zeros(8)
    w2, b2 = rng.uniform(-1, 1, (8, 1)), np.zeros(1)
    for _ in range(101):
        hidden = np.maximum(INPUTS @ w1 + b1, 0)
        dy = 2 * (hidden @ w2 + b2 - XOR)
        dhidden = dy @ w2.T * (hidden > 0)
        w2 -= 0.05 * hidden.T @ dy
        b2 -= 0.05 * dy.sum(axis=0)
        w1 -= 0.05 * INPUTS.T @ dhidden
        b1 -= 0.05 * dhidden.sum(axis=0)
    return w1, b1, w2, b2
