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
from numasync.commands.options_file import read_options
from numasync.config import Config
from numasync.runtime import interrupts
from numasync.runtime.files import safe_name
from numasync.tools.program import EXIT_FAILED, Parser, path_argument
from numasync.training.records import RESULT, FolderTakenError
from numasync.training.run import train


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    text = "a run's config.json, or a TOML file with options by their Python names; a flag overrides it"
    parser.add_argument("--config", type=path_argument, metavar="FILE", help=text)
    add_options(parser)
    text = "new folder for the run; by default one under runs/"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Train an agent."""
    given = given_by(arguments)
    folder, file = given.pop("out"), given.pop("config")
    options = rename_old_options(given)
    if file:
        options = {**read_options(file), **options}
    config = {field.name: field.default for field in dataclasses.fields(Config)} | options
    for out in [folder] if folder else default_folders(config):
        try:
            agent = train(out=out, verbose=True, **options)
            break
        except FolderTakenError:
            if folder:
                raise
    if not os.path.exists(Path(out, RESULT)):
        return EXIT_FAILED  # the run has said that it could not write it
    return interrupts.EXIT_INTERRUPTED if agent.result and agent.result["interrupted"] else 0


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
