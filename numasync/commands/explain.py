"""`numasync explain`: show one segment in full."""

import argparse

from numasync.commands.command import Command, given_by
from numasync.commands.options import add_options, rename_old_options
from numasync.tools.explain import AFTER, explain
from numasync.tools.program import EXIT_FAILED, Parser, complain, path_argument, whole_number
from numasync.training.console import Console

# The options that the help text shows. The others are accepted too.
SHOWN = (
    *("algo", "env", "env_kwargs", "preset", "seed", "workers", "lr", "gamma", "t_max", "optimizer", "rms_decay"),
    *("rms_eps", "clip_norm", "beta", "network", "separate_value", "normalize"),
)


def add_arguments(parser: Parser) -> None:
    """Add its arguments: the options of a run, and which segment to show."""
    parser.epilog = "Every other option of numasync train is accepted too. By default there is one worker."
    text = f"steps of training before the segment [{AFTER}]"
    parser.add_argument("--after", type=whole_number, default=AFTER, metavar="N", help=text)
    text = "show the first segment after them in which an episode ends"
    parser.add_argument("--episode-end", action="store_true", help=text)
    text = "write an HTML page too; an existing file is replaced"
    parser.add_argument("--html", type=path_argument, metavar="FILE", help=text)
    text = "begin with the parameters of an agent: its file, or the name of a pretrained one [random parameters]"
    parser.add_argument("--from", dest="from_agent", type=path_argument, metavar="AGENT", help=text)
    add_options(parser, shown=SHOWN)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation of a segment. Return EXIT_FAILED where a number differs from the reference."""
    given = rename_old_options(given_by(arguments))
    console = Console()
    explanation = explain(**given, verbose=console.is_terminal)
    console.print_lines(*explanation.text.splitlines())
    if given["html"]:
        console.print_lines("", f"Page: {given['html']}")
    if explanation.wrong:
        complain(explanation.wrong)
        return EXIT_FAILED
    return 0


EXPLAIN = Command("explain", "show one segment in full: every number, its equation and its check", add_arguments, run)
