"""Draw Pong's learning curves beside the points that the paper's curve has: `python docs/reports/pong_beside_paper.py`.

It reads `atari_runs.csv`, and writes `pong_beside_paper.png`. It needs the extra plot.
"""

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
ORANGE, BLUE, BLACK = "#d55e00", "#56b4e9", "#222222"
# Two points of the curve in Mnih et al. 2016, A3C with 16 threads: steps in millions, and scores.
PAPER = ((6.7, 13.0), (4.0, 19.0))


def curves(preset: str, seeds: tuple[int, ...]) -> list[tuple[list[float], list[float], float]]:
    """Return for each run its steps in millions, its scores and its minutes."""
    with (HERE / "atari_runs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["env"], row["algo"]) == ("PongNoFrameskip-v4", "a3c")]
    rows = [row for row in rows if row["thread_per"] == "kept core"]  # as the threads run today
    found = []
    for seed in seeds:
        run = [
            row for row in rows if (row["preset"], row["seed"]) == (preset, str(seed)) and int(row["episodes"]) < 100
        ]
        steps, scores = [int(row["T"]) / 1e6 for row in run], [float(row["mean"]) for row in run]
        found.append((steps, scores, float(run[-1]["seconds"]) / 60))
    return found


def main() -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(5.9, 3.4), dpi=110)
    for i, (steps, scores, minutes) in enumerate(curves("default", (4, 5, 6))):
        label = f"default preset, seeds 4 to 6: {minutes:.0f} minutes on 2 cores"
        axes.plot(steps, scores, color=ORANGE, lw=1.8, label=label if i == 2 else None)
    ((steps, scores, minutes),) = curves("paper", (1,))
    axes.plot(steps, scores, color=BLUE, lw=1.8, label=f"the paper's numbers, seed 1: {minutes:.0f} minutes on 2 cores")
    axes.plot(*PAPER, "D", color=BLACK, ms=7, label="Mnih et al. 2016, 16 cores")
    axes.set(xlabel="steps (millions)", ylabel="score", xlim=(0, 14), ylim=(-22, 22), title="Pong, A3C")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=8.5)
    figure.tight_layout()
    figure.savefig(HERE / "pong_beside_paper.png")


if __name__ == "__main__":
    main()
