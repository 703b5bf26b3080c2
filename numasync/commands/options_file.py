"""The options of a run from a file: the config.json of a run, or a TOML file."""

import contextlib
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numasync.agent.description import parse_network
from numasync.commands.options import rename_old_options
from numasync.config import validate_options
from numasync.errors import InputError, one_line
from numasync.runtime.checks import show
from numasync.runtime.files import is_special
from numasync.training.records import LONGEST_JSON, MADE_BY

# A layer of a network as a config.json has it.
LAYER = '{"kind": "dense", "sizes": [64]}'


def read_options(path: str | os.PathLike) -> dict[str, Any]:
    """Return the options in a file, checked. Prints a warning for each old name.

    Raises InputError, which names the file, where it cannot be read, or holds what is no option of a run.
    """
    path = Path(path)
    given = parse(path, read_file(path))
    given.pop(MADE_BY, None)
    try:
        if "network" in given:
            given["network"] = parse_layers(given["network"])
        return validate_options(rename_old_options(given, str, f"{path}: "))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_file(path: Path) -> str:
    """Return the text of a file of options. Raises InputError where it is none."""
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name a file of options, such as {path / 'config.json'}.")
    if is_special(path):
        raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name a file of options.")
    try:
        if os.path.getsize(path) > LONGEST_JSON:
            raise InputError(f"{path} is too long for a file of options; name a config.json or a TOML file.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text; name a config.json or a TOML file.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def parse(path: Path, text: str) -> dict[str, Any]:
    """Return what a file says. JSON begins with a brace, and TOML cannot. Raises InputError where it is neither."""
    is_json = path.suffix == ".json" or text.lstrip().startswith("{")
    parser = json.loads if is_json else toml_parser(path)
    try:
        given = parser(text)
    except (ValueError, RecursionError) as error:
        reason = one_line(error).rstrip(".") if isinstance(error, ValueError) else "it is nested too deeply"
        raise InputError(f"{path} is damaged or no {'JSON' if is_json else 'TOML'} file: {reason}.") from error
    if not isinstance(given, dict):
        raise InputError(f"{path} holds {show(given)}; it must hold options of a run by their names.")
    return given


def toml_parser(path: Path) -> Callable[[str], Any]:
    """Return the function that reads TOML. path: for the sentence where this Python has none."""
    for name in ("tomllib", "tomli"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name).loads
    raise InputError(f"{path} is read with Python 3.11, or with the package tomli; install it, or write JSON.")


def parse_layers(network: Any) -> Any:
    """Return the option `network` of a file: a name, or layers as Layers. Raises InputError for anything else."""
    try:
        return parse_network(network)
    except (KeyError, TypeError, AttributeError):
        shape = '{"kind": "dense", "sizes": [64]}'
        raise InputError(
            f"network is {show(network)}; it must be a name or a list of layers such as {shape}."
        ) from None
