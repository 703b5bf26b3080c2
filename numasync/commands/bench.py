"""`numasync bench`: measure the machine."""

import argparse
import sys

from numasync.commands.command import Command
from numasync.errors import InputError
from numasync.runtime import interrupts
from numasync.tools.bench import REPETITIONS, SECONDS, SECTIONS, bench
from numasync.tools.program import Parser, path_argument, whole_number


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
    text = (
        "compare with programs in JAX, stable-baselines3 and PyTorch instead; PYTHON runs them, where their packages "
        "are installed in another environment (extra peers)"
    )
    parser.add_argument("--peers", nargs="?", const=sys.executable, type=path_argument, metavar="PYTHON", help=text)
    text = "with --peers, write the results to this file as a page of Markdown"
    parser.add_argument("--markdown", type=path_argument, metavar="FILE", help=text)


def measure(arguments: argparse.Namespace) -> None:
    """Measure what the arguments ask for. Raises InputError where they do not go together."""
    a = arguments
    if a.peers is None:
        if a.markdown:
            raise InputError("--markdown goes with --peers.")
        bench(a.only, a.workers, a.repetitions, a.seconds, a.json)
        return
    if a.only or a.workers:
        raise InputError("--only and --workers do not go with --peers, which compares whole trainings on all cores.")
    # Imported here, because it imports what trains.
    from numasync.tools.bench.peers import compare_with_peers

    compare_with_peers(a.peers, a.repetitions, a.seconds, a.json, a.markdown)


def run(arguments: argparse.Namespace) -> int:
    """Measure the machine."""
    with interrupts.unwind_when_ended():
        measure(arguments)
    return 0


BENCH = Command("bench", "measure how fast this machine runs each part", add_arguments, run)
