"""`numasync train`: train an agent. It is the default command."""

import argparse
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numasync.agent.agent import Agent
from numasync.commands.command import Command, given_by
from numasync.commands.options import add_options, rename_old_options
from numasync.commands.options_file import read_options
from numasync.config import Config
from numasync.errors import InputError
from numasync.runtime import interrupts
from numasync.runtime.files import safe_name
from numasync.tools.program import EXIT_FAILED, Parser, path_argument
from numasync.training.console import Console
from numasync.training.display import Display, JsonLines, Silent
from numasync.training.folders import FolderTakenError
from numasync.training.records import CONFIG, RESULT, resume_command
from numasync.training.terminal_bar import choose_display
from numasync.training.train import train_and_show


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    text = "a run's config.json, or a TOML file with options by their Python names; a flag overrides it"
    parser.add_argument("--config", type=path_argument, metavar="FILE", help=text)
    add_options(parser)
    text = "new folder for the run; by default one under runs/"
    parser.add_argument("--out", type=path_argument, metavar="DIR", help=text)
    text = "begin with the parameters of an agent: its file, or the name of a pretrained one [random parameters]"
    parser.add_argument("--from", dest="from_agent", type=path_argument, metavar="AGENT", help=text)
    add_output(parser)


def add_output(parser: Parser) -> None:
    """Add the arguments that choose what a run prints. `choose_output` reads them."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--quiet", action="store_true", help="print nothing but problems")
    output.add_argument("--json-lines", action="store_true", help="print a JSON object a line, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Train an agent."""
    given = given_by(arguments)
    display = choose_output(given.pop("quiet"), given.pop("json_lines"))
    folder, from_agent, file = given.pop("out"), given.pop("from_agent"), given.pop("config")
    options = rename_old_options(given)
    if file:
        options = {**read_options(file), **options}
        if "env" not in given:
            check_names_no_object(file, options.get("env", Config.env))
    config = {field.name: field.default for field in dataclasses.fields(Config)} | options
    for out in [folder] if folder else default_folders(config):
        try:
            say_how_to_go_on(out)
            agent = train_and_show(display, out, from_agent, **options)
            break
        except FolderTakenError:
            if folder:
                raise
    return exit_code_of(agent, out)


def check_names_no_object(file: str | os.PathLike, env_id: str) -> None:
    """Raise InputError where a file of options names a function or a class: it must not decide what code runs."""
    module, _, name = env_id.rpartition(":")
    if module not in ("", "gymnasium") and all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"{file} names the environment {env_id}, which can be a function; name it by --env {env_id}.")


def say_how_to_go_on(folder: str | os.PathLike) -> None:
    """Have a signal that stops the program say how its run goes on. folder: of the run."""
    interrupts.last_words = os.path.join(folder, CONFIG), f"Go on with: {resume_command(folder)}"


def exit_code_of(agent: Agent, folder: str | os.PathLike) -> int:
    """Return the exit code of a run that has ended. folder: of the run."""
    if not os.path.exists(Path(folder, RESULT)):
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
