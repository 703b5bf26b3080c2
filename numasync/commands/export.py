"""`numasync export`: write an agent in a format that other programs run."""

import argparse

from numasync.agent.agent import load
from numasync.commands.agent_argument import AGENT_HELP
from numasync.commands.command import Command
from numasync.tools.program import Parser, path_argument


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.add_argument("agent", type=path_argument, metavar="AGENT", help=AGENT_HELP)
    text = "write an ONNX file; an existing one is replaced (needs onnx)"
    parser.add_argument("--onnx", type=path_argument, required=True, metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write an agent, and print the path of the file."""
    load(arguments.agent).to_onnx(arguments.onnx)
    print(arguments.onnx)
    return 0


EXPORT = Command("export", "write an agent for other programs: an ONNX file", add_arguments, run)
