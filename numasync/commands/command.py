"""What a command is to the command line."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from numasync.tools.program import Parser


class Command(NamedTuple):
    """A command, such as `numasync train`.

    name                its verb, the first word of a command line
    text                its help text
    add_arguments       adds its arguments to its parser
    run                 does what it says, and returns the exit code
    kept                what stays where it fails: a sentence that follows the complaint
    kept_of_divergence  the same where a number is no longer finite
    """

    name: str
    text: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]
    kept: str = ""
    kept_of_divergence: str = ""


def given_by(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that a command is given, by name. The command itself is left out."""
    return {name: value for name, value in vars(arguments).items() if name != "command"}
