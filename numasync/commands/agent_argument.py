"""The argument AGENT of `eval` and `watch`."""

import argparse
from typing import Any

from numasync.agent.agent import pretrained
from numasync.errors import InputError
from numasync.tools.program import Parser, complain, path_argument

AGENT_HELP = f"the .npz file of an agent, or the name of a pretrained one: {', '.join(pretrained()) or 'none yet'}"


def add_agent(parser: Parser, text: str) -> None:
    """Add the argument AGENT, and without help its old form `--agent AGENT`. `agent_of` reads both."""
    path: dict[str, Any] = dict(type=path_argument, metavar="AGENT")
    parser.add_argument("agent", nargs="?", help=text, **path)
    parser.add_argument("--agent", dest="old_agent", help=argparse.SUPPRESS, **path)


def agent_of(arguments: argparse.Namespace, verb: str) -> str | None:
    """Return the agent that is given, and print a warning for the old form. verb: its name.

    Raises InputError where two agents are given.
    """
    if arguments.old_agent is None:
        return arguments.agent
    complain(f"numasync {verb} --agent AGENT is now numasync {verb} AGENT.")
    if arguments.agent is not None:
        raise InputError("Give one agent, a file or a name such as pong-a3c.")
    return arguments.old_agent
