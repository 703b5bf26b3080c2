"""`numasync runs`: list the runs in a folder."""

import argparse
import json
import shutil
import sys

from numasync.algorithms import ALGORITHMS
from numasync.commands.command import Command
from numasync.tools.program import Parser, path_argument
from numasync.tools.run_list import COLUMNS, STATES, list_runs, sort_rows
from numasync.tools.run_table import row_json, run_table


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.dashed = ("--sort",)
    text = "folders of runs, also of runs that go on; the folders below are searched too [runs]"
    parser.add_argument("folders", nargs="*", type=path_argument, default=["runs"], metavar="DIR", help=text)
    text = f"column to sort by: {', '.join(COLUMNS)}; -NAME sorts in descending order [%(default)s]"
    parser.add_argument("--sort", default="started", metavar="NAME", help=text)
    parser.add_argument("--reverse", action="store_true", help="sort in descending order")
    for option, text in (
        ("--env", "only these environments; patterns such as 'MinAtar/*'"),
        ("--algo", f"only these algorithms: {', '.join(ALGORITHMS)}"),
        ("--state", f"only these states: {', '.join(STATES)}"),
    ):
        parser.add_argument(option, action="append", default=[], metavar="NAME[,NAME]", help=f"{text} [all]")
    parser.add_argument("--json", action="store_true", help="print one JSON array, with an object for each run")


def run(arguments: argparse.Namespace) -> int:
    """List runs."""
    envs, algos, states = (
        [name for text in given for name in text.split(",")]
        for given in (arguments.env, arguments.algo, arguments.state)
    )
    rows = list_runs(arguments.folders, envs, algos, states)
    descending = arguments.reverse or arguments.sort.startswith("-")
    rows = sort_rows(rows, arguments.sort.removeprefix("-"), descending)
    if arguments.json:
        print(json.dumps([row_json(row) for row in rows], indent=2), flush=True)
    elif rows:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(*run_table(rows, width), sep="\n", flush=True)
    else:
        print("No runs are found.", flush=True)
    return 0


RUNS = Command("runs", "list runs: their state, steps, score and time", add_arguments, run)
