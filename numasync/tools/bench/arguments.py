"""The arguments of `numasync bench`, and which function they call."""

import argparse

from numasync.tools.bench import REPETITIONS, SECONDS, SECTIONS, bench
from numasync.tools.program import Parser, whole_number


def add_bench_arguments(verb: Parser) -> None:
    """Add the arguments of `numasync bench` to its parser."""
    verb.add_argument("--only", metavar="NAME[,NAME]", help=f"what to measure: {', '.join(SECTIONS)} [all]")
    text = "numbers of workers [powers of 2 up to the cores, and 1.5 times the cores]"
    verb.add_argument("--workers", metavar="N[,N]", help=text)
    text = "how often everything is measured, in turn; medians are printed [%(default)s]"
    verb.add_argument("--repetitions", type=whole_number, default=REPETITIONS, metavar="N", help=text)
    text = "seconds of training for each number, over all repetitions [%(default)g]"
    verb.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=text)
    verb.add_argument("--json", action="store_true", help="print everything as one JSON object")


def run_bench_arguments(arguments: argparse.Namespace) -> None:
    """Measure what the arguments ask for."""
    a = arguments
    bench(a.only, a.workers, a.repetitions, a.seconds, a.json)
