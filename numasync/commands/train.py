"""`numasync train`: train an agent. It is the default command."""

import argparse
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numasync.commands.command import Command, given_by
from numasync.commands.options import add_options, rename_old_options
from numasync.config import Config
from numasync.runtime import interrupts
from numasync.runtime.files import safe_name
from numasync.tools.program import EXIT_FAILED, Parser, path_argument
from numasync.training.console import Console
from numasync.training.display import Display, JsonLines, Silent
from numasync.training.records import RESULT, FolderTakenError
from numasync.training.run import train_and_show
from numasync.training.terminal_bar import choose_display


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    add_options(parser)
    text = "new folder for the run; by default one under runs/"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--quiet", action="store_true", help="print nothing but problems")
    output.add_argument("--json-lines", action="store_true", help="print a JSON object a line, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Train an agent."""
    given = given_by(arguments)
    folder, display = given.pop("out"), choose_output(given.pop("quiet"), given.pop("json_lines"))
    options = rename_old_options(given)
    config = {field.name: field.default for field in dataclasses.fields(Config)} | options
    for out in [folder] if folder else default_folders(config):
        try:
            agent = train_and_show(display, out, **options)
            break
        except FolderTakenError:
            if folder:
                raise
    if not os.path.exists(Path(out, RESULT)):
        return EXIT_FAILED  # the run has said that it could not write it
    return interrupts.EXIT_INTERRUPTED if agent.result and agent.result["interrupted"] else 0


def choose_output(quiet: bool, json_lines: bool) -> Display:
    """Return what shows the progress. The arguments: whether the two flags are given."""
    if quiet:
        return Silent()
    return JsonLines(Console()) if json_lines else choose_display()


def default_folders(config: dict[str, Any]) -> Iterator[Path]:
    """Yield folders of a run for which no folder is given. The first that no other run has is used.

    config: its options
    """
    name = safe_name(f"{config['env']}-{config['algo']}-seed{config['seed']}-{time.strftime('%Y%m%d-%H%M%S')}")
    yield Path("runs", name)
    for number in itertools.count(2):
        yield Path("runs", f"{name}-{number}")


TRAIN = Command(
    "train",
    "train an agent (the default verb)",
    add_arguments,
    run,
    kept=" The agent so far was saved.",
    kept_of_divergence=" The last good checkpoint is kept.",
)
