"""`numasync warmup`: compile ahead what a run needs."""

import argparse

from numasync.commands.command import Command, given_by
from numasync.commands.options import add_options, rename_old_options
from numasync.config import Config
from numasync.tools.program import Parser
from numasync.tools.warmup import DECIDING, warmup


def add_arguments(parser: Parser) -> None:
    """Add its arguments: the options of a run. The help text shows those that decide what is compiled."""
    parser.epilog = "Every other option of numasync train is accepted too, and changes nothing."
    text = f"environment id; --env ID --env ID compiles for several [{Config.env}]"
    parser.add_argument("--env", action="append", default=argparse.SUPPRESS, metavar="ID", help=text)
    add_options(parser, shown=("algo", *DECIDING), left_out=("env",))


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print what was done."""
    warmup(**rename_old_options(given_by(arguments)), verbose=True)
    return 0


WARMUP = Command("warmup", "compile ahead, into the cache, what train needs", add_arguments, run)
