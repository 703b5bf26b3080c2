"""`numasync tune`: search the options of an algorithm."""

import argparse
from typing import Any

from numasync.commands.cluster_arguments import add_cluster
from numasync.commands.command import Command, given_by
from numasync.commands.options import ONE_RUN_OVER_NODES, add_options, rename_old_options
from numasync.runtime import interrupts
from numasync.tools.program import Parser, path_argument, whole_number
from numasync.tools.tuning import TRIALS, tune
from numasync.tools.tuning.plan import SEED

# The options of a run that the help text shows.
SHOWN = ("env", "algo", "steps", "lr", "network", "workers", "eval_every")


def add_arguments(parser: Parser) -> None:
    """Add its arguments: what a tuning needs, and the options of a run."""
    parser.epilog = "An option of numasync train that is given is fixed, also where a tuning would search it."
    # A flag that is not given leaves the value to the tuning, so it has no default here.
    shared: dict[str, Any] = dict(default=argparse.SUPPRESS)
    number: dict[str, Any] = dict(type=whole_number, metavar="N", **shared)
    parser.add_argument("--trials", help=f"trials in all, earlier calls included [{TRIALS}]", **number)
    parser.add_argument("--jobs", help="trials at once, each a process [cores]", **number)
    add_cluster(parser)
    text = "folder of the tuning; a tuning that was stopped in it continues [tunings/ENV-ALGO]"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text, **shared)
    text = f"seed of the search, and of the first trial; seeds that are reported should be others [{SEED}]"
    parser.add_argument("--seed", help=text, **number)
    text = "play the workers of a trial in turn, so that it repeats exactly [True]"
    parser.add_argument("--deterministic", action=argparse.BooleanOptionalAction, help=text, **shared)
    add_options(parser, shown=SHOWN, left_out=("seed", "deterministic", *ONE_RUN_OVER_NODES))


def run(arguments: argparse.Namespace) -> int:
    """Search, and print the best trials."""
    with interrupts.unwind_when_ended():
        tune(**rename_old_options(given_by(arguments)), verbose=True)
    return 0


TUNE = Command(
    "tune",
    "search the options of an algorithm with Optuna",
    add_arguments,
    run,
    kept=" Trials that have ended are kept; the same command goes on.",
)
