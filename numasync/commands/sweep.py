"""`numasync sweep`: train with every combination of some options."""

import argparse
from pathlib import Path
from typing import Any

from numasync.commands.cluster_arguments import add_cluster
from numasync.commands.command import Command, given_by
from numasync.commands.options_file import parse, read_file
from numasync.commands.train import check_names_no_object
from numasync.runtime import interrupts
from numasync.runtime.files import safe_name
from numasync.tools.program import Parser, path_argument, whole_number
from numasync.tools.sweeps import sweep


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    text = "a TOML or JSON file with options by their Python names; a list is tried value by value"
    parser.add_argument("file", type=path_argument, metavar="FILE", help=text)
    shared: dict[str, Any] = dict(default=argparse.SUPPRESS)
    text = "runs at once, each a process [cores]"
    parser.add_argument("--jobs", type=whole_number, metavar="N", help=text, **shared)
    add_cluster(parser)
    text = "folder of the sweep; a sweep that was stopped in it continues [sweeps/FILE]"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text, **shared)


def run(arguments: argparse.Namespace) -> int:
    """Play a sweep."""
    given = given_by(arguments)
    path = Path(given.pop("file"))
    grid = parse(path, read_file(path))
    envs = grid.get("env", [])
    for env in envs if isinstance(envs, list) else [envs]:
        check_names_no_object(path, str(env))
    given.setdefault("out", Path("sweeps", safe_name(path.stem)))
    with interrupts.unwind_when_ended():
        sweep(grid, **given, verbose=True)
    return 0


SWEEP = Command(
    "sweep",
    "train with every combination of some options, many runs at once",
    add_arguments,
    run,
    kept=" Runs that have ended are kept; the same command goes on.",
)
