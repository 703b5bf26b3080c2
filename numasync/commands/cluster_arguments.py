"""The arguments of commands that can play their runs on a cluster of Ray."""

import argparse
from typing import Any

from numasync.distributed.pool import RETRIES
from numasync.tools.program import Parser, whole_number


def add_cluster(parser: Parser) -> None:
    """Add the arguments that say which cluster plays the runs, and how."""
    number: dict[str, Any] = dict(type=whole_number, metavar="N", default=argparse.SUPPRESS)
    text = (
        "play the runs on a cluster of Ray: HOST:PORT of its head, 'auto' for the one on this machine, 'local' for one "
        "that is started here"
    )
    parser.add_argument("--ray", metavar="ADDRESS", default=argparse.SUPPRESS, help=text)
    parser.add_argument("--cores-per-run", help="with --ray, the cores that each run has for itself [1]", **number)
    text = f"with --ray, how often a run goes on elsewhere whose node dies [{RETRIES}]"
    parser.add_argument("--retries", help=text, **number)
