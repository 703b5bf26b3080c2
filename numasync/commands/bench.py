"""`numasync bench`: measure the machine."""

import argparse

from numasync.commands.command import Command
from numasync.runtime import interrupts
from numasync.tools.bench import REPETITIONS, SECONDS, SECTIONS, bench
from numasync.tools.program import Parser, whole_number


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.add_argument("--only", metavar="NAME[,NAME]", help=f"what to measure: {', '.join(SECTIONS)} [all]")
    text = "numbers of workers [powers of 2 up to the cores, and 1.5 times the cores]"
    parser.add_argument("--workers", metavar="N[,N]", help=text)
    text = "how often everything is measured, in turn; medians are printed [%(default)s]"
    parser.add_argument("--repetitions", type=whole_number, default=REPETITIONS, metavar="N", help=text)
    text = "seconds of training for each number, over all repetitions [%(default)g]"
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Measure the machine."""
    with interrupts.unwind_when_ended():
        bench(arguments.only, arguments.workers, arguments.repetitions, arguments.seconds, arguments.json)
    return 0


BENCH = Command("bench", "measure how fast this machine runs each part", add_arguments, run)
