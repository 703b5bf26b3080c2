"""`numasync study`: repeat an experiment of the paper."""

import argparse
from typing import Any

from numasync.commands.cluster_arguments import add_cluster
from numasync.commands.command import Command, given_by
from numasync.config import Config
from numasync.runtime import interrupts
from numasync.tools.program import Parser, path_argument, whole_number
from numasync.tools.studies import study
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.add_argument(
        "name", metavar="NAME", help="; ".join(f"{name}: {spec.about}" for name, spec in STUDIES.items())
    )
    # A flag that is not given leaves the value to the study, so it has no default here.
    shared: dict[str, Any] = dict(default=argparse.SUPPRESS)
    number: dict[str, Any] = dict(type=whole_number, metavar="N", **shared)
    rate: dict[str, Any] = dict(type=float, metavar="N", **shared)
    parser.add_argument("--env", metavar="ID", help=f"environment id [{Config.env}]", **shared)
    text = "algorithms, separated by commas [all; optimizers: nstep_q,a3c]"
    parser.add_argument("--algos", metavar="NAME[,NAME]", help=text, **shared)
    text = "runs of each algorithm and optimiser; threads: number of seeds [50; threads: 5]"
    parser.add_argument("--runs", help=text, **number)
    parser.add_argument("--steps", help="steps of each run, over all workers [the preset's]", **number)
    text = "workers of each run, which take turns; not for threads [the preset's; threads: 1 to 16]"
    parser.add_argument("--workers", help=text, **number)
    text = f"seed of the learning rates, and of the first run [{Config.seed}]"
    parser.add_argument("--seed", help=text, **number)
    text = "{} of the LogUniform distribution of learning rates; not for threads [{:g}]"
    parser.add_argument("--lr-low", help=text.format("lowest value", LR_LOW), **rate)
    parser.add_argument("--lr-high", help=text.format("highest value", LR_HIGH), **rate)
    parser.add_argument("--jobs", help="runs at once; timed runs are played one at a time [cores]", **number)
    add_cluster(parser)
    text = "folder of the study; a study that was stopped in it continues [studies/NAME-ENV]"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text, **shared)


def run(arguments: argparse.Namespace) -> int:
    """Play a study."""
    with interrupts.unwind_when_ended():
        study(**given_by(arguments), verbose=True)
    return 0


STUDY = Command(
    "study",
    "repeat an experiment of the paper: many runs, a table, a figure",
    add_arguments,
    run,
    kept=" Finished runs are kept; the same command goes on.",
)
