"""Chapter 8: the paths of SGD, momentum SGD and RMSProp down a valley that is steep in x and flat in y."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

STEEPNESS = np.array([100.0, 1.0])
UPDATES = 60


def sgd(theta: np.ndarray, d: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make an update of SGD."""
    return theta - 0.019 * d, state


def momentum(theta: np.ndarray, d: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make an update of momentum SGD."""
    m = 0.9 * m + 0.1 * d
    return theta - 0.1 * m, m


def rmsprop(theta: np.ndarray, d: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make an update of RMSProp."""
    g = 0.99 * g + 0.01 * d**2
    return theta - 0.02 * d / np.sqrt(g + 1e-6), g


def path_of(update: Callable[..., tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the points that an optimiser visits, (UPDATES + 1, 2)."""
    theta, state = np.ones(2), np.zeros(2)
    points = [theta]
    for _ in range(UPDATES):
        theta, state = update(theta, STEEPNESS * theta, state)
        points.append(theta)
    return np.array(points)


PANELS = (
    ("SGD, lr 0.019: from wall to wall", sgd, "#c44e52"),
    ("momentum, lr 0.1: the jumps cancel, it swings", momentum, "#dd8452"),
    ("RMSProp, lr 0.02: straight down", rmsprop, "#1f77b4"),
)


def draw(path: Path) -> None:
    """Write the drawing to `path`."""
    figure = Figure(figsize=(7, 8), layout="constrained")
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, 200), np.linspace(-0.4, 1.2, 100))
    for axes, (title, update, colour) in zip(figure.subplots(3, 1, sharex=True), PANELS, strict=True):
        axes.contour(x, y, (100 * x**2 + y**2) / 2, levels=(0.05, 0.3, 1, 4, 15, 40), colors="#bbbbbb", linewidths=1)
        points = path_of(update)
        axes.plot(*points.T, "o-", color=colour, ms=3.5, lw=1.3)
        axes.plot(0, 0, "k*", ms=13)
        axes.set_title(title, size=14, loc="left", color=colour)
        axes.set(xlim=(-1.2, 1.2), ylim=(-0.4, 1.2), yticks=(0, 1), xticks=(-1, 0, 1))
        axes.set_ylabel("y, flat", size=13)
    axes.set_xlabel(f"x, steep. {UPDATES} updates each; the star is the lowest point", size=13)
    figure.savefig(path, metadata={"Date": None})
