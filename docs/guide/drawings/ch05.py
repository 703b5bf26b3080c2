"""Chapter 5: the probabilities of three actions before and after a step, and what the loss asks of the logits."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

LOGITS, ADVANTAGE, LEARNING_RATE = np.array([1.0, 2.0, 0.0]), 2.0, 0.5
BLUE, GREY = "#1f77b4", "#9aa5b1"


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    p = softmax(LOGITS)
    change = ADVANTAGE * (np.array([1.0, 0.0, 0.0]) - p)  # minus d(loss)/d(logits), with beta = 0
    after = softmax(LOGITS + LEARNING_RATE * change)
    figure = Figure(figsize=(7, 3.4))
    colours = (BLUE, GREY, GREY)
    for i, (title, values, limits) in enumerate(
        (("p before", p, (0, 1)), ("- d(loss)/d(logit)", change, (-2, 2)), ("p after one step", after, (0, 1)))
    ):
        axes = figure.add_axes((0.03 + i * 0.33, 0.13, 0.28, 0.7))
        axes.bar(range(3), values, color=colours)
        axes.axhline(0, color="black", lw=1)
        axes.set(title=title, xticks=range(3), yticks=(), ylim=limits)
        axes.title.set_size(13)
        axes.spines[["top", "left", "right", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        for j, value in enumerate(values):
            above = value >= 0
            gap = 0.02 * (limits[1] - limits[0]) * (1 if above else -1)
            axes.text(j, value + gap, f"{value:.2f}", size=12, ha="center", va="bottom" if above else "top")
        axes.set_xlabel("action", labelpad=1)
    figure.savefig(path, metadata={"Date": None})


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of the actions."""
    p = np.exp(logits - logits.max())
    return p / p.sum()
