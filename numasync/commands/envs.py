"""`numasync envs`: list the environments."""

import argparse
import json

from numasync.commands.command import Command
from numasync.tools.program import Parser
from numasync.tools.text import align


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each environment")


def run(arguments: argparse.Namespace) -> int:
    """List the environments."""
    # Imported here, because it imports gymnasium and ale_py. Other verbs need neither for a jitted environment.
    from numasync.envs.listing import EnvRow, list_envs

    rows = list_envs()
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], indent=2), flush=True)
    else:
        print(*align([EnvRow._fields, *([str(value) for value in row] for row in rows)]), sep="\n", flush=True)
    return 0


ENVS = Command("envs", "list the environments", add_arguments, run)
