"""Draw the figure of each chapter: `python docs/guide/draw.py` writes NN-name.svg beside NN-name.md.

Chapter NN is drawn by `drawings/chNN.py`, function `draw(path)`. Needs matplotlib: `pip install ".[plot]"`.
A folder as argument takes the figures instead.
"""

import importlib
import sys
from pathlib import Path

import matplotlib

GUIDE = Path(__file__).parent

# The same file each time: no date, no random names.
SETTINGS = {
    "svg.hashsalt": "numasync",
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "savefig.facecolor": "white",
}


def main(folder: Path = GUIDE) -> None:
    """Draw the figures of all chapters into a folder."""
    matplotlib.use("svg")
    matplotlib.rcParams.update(SETTINGS)
    for page in sorted(GUIDE.glob("[0-9][0-9]-*.md")):
        chapter = importlib.import_module(f"drawings.ch{page.name[:2]}")
        chapter.draw(folder / page.with_suffix(".svg").name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
