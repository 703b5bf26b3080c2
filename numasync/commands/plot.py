"""`numasync plot`: draw learning curves."""

import argparse

from numasync.commands.command import Command
from numasync.tools.plots import KINDS, WINDOW, plot
from numasync.tools.program import Parser, path_argument, whole_number


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    text = "folders of runs; a run may still be going on"
    parser.add_argument("runs", nargs="+", type=path_argument, metavar="RUN", help=text)
    text = "write FILE.png and FILE.svg [%(default)s]"
    parser.add_argument("--out", type=path_argument, default="curves", metavar="FILE", help=text)
    text = f"which scores to draw: {', '.join(KINDS)} [%(default)s]"
    parser.add_argument("--of", default=KINDS[0], metavar="NAME", help=text)
    text = "number of training episodes that a point of a curve is the mean of [%(default)s]"
    parser.add_argument("--window", type=whole_number, default=WINDOW, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Draw learning curves, and print the paths of the pictures."""
    for path in plot(arguments.runs, arguments.out, arguments.window, arguments.of):
        print(path)
    return 0


PLOT = Command("plot", "draw the learning curves of runs", add_arguments, run)
