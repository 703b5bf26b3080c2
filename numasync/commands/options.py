"""The options of a run as flags: their names, help texts and defaults come from `Config`."""

import argparse
import ast
import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection
from typing import Any

from numasync.config import PRESETS, RENAMED, Config
from numasync.errors import InputError
from numasync.tools.program import Parser, argument_of, complain


class AddKeywords(argparse.Action):
    """Collects the words KEY=VALUE of a flag in one dict."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Add the pairs of one occurrence of the flag."""
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest, None) or {}), **dict(values)})


def parse_keyword(word: str) -> tuple[str, Any]:
    """Return the key and the value of a word KEY=VALUE, for argparse.

    The value is read as Python or JSON writes it: 1, 0.25, True, true, None, 'a b', [1, 2]. Anything else is a text.
    """
    key, equals, text = word.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"{word!r} is no KEY=VALUE, such as mode=1")
    for read in (ast.literal_eval, json.loads):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return key, read(text)
    return key, text


# What argparse needs to know of a flag with keywords for the environment.
KEYWORDS: dict[str, Any] = {"nargs": "+", "action": AddKeywords, "type": parse_keyword, "metavar": "KEY=VALUE"}

METAVARS = {"env": "ID", "ray": "ADDRESS"}

# The options of one run over the nodes of a cluster. Commands that play many runs have a --ray of their own.
ONE_RUN_OVER_NODES = ("ray", "nodes", "sync_steps", "delta_weight", "shards")


def add_options(parser: Parser, shown: Collection[str] | None = None, left_out: Collection[str] = ()) -> None:
    """Add a flag for each option of a run, and without help the flags of the old names.

    shown     the options that the help text shows; by default all of them
    left_out  the options that get no flag
    """
    for field in dataclasses.fields(Config):
        if field.name not in left_out:
            add_option(parser, field, shown is None or field.name in shown)
    for old_name, name in RENAMED.items():
        add_old_option(parser, old_name, type(getattr(Config, name)))


def add_option(parser: Parser, field: dataclasses.Field, shown: bool) -> None:
    """Add the flag of one option of Config. shown: whether the help text shows it."""
    flag, text = flag_of(field.name), field.metadata["help"]
    kwargs: dict[str, Any]
    if field.name == "env_kwargs":
        kwargs = dict(KEYWORDS)
    elif field.type is bool:
        kwargs = {"action": argparse.BooleanOptionalAction}
    elif field.metadata["choices"]:
        kwargs, text = {"metavar": "NAME"}, f"{text}: {', '.join(field.metadata['choices'])}"
    else:
        kwargs = {"type": argument_of(field.type), "metavar": METAVARS.get(field.name, "N")}
    # A flag that is not given leaves the value to the preset, so it has no default here.
    text = f"{text} [{describe_defaults(field)}]" if shown else argparse.SUPPRESS
    parser.add_argument(flag, default=argparse.SUPPRESS, help=text, **kwargs)


def add_old_option(parser: Parser, old_name: str, kind: type) -> None:
    """Add the old flag of an option, without help. `rename_old_options` warns of it."""
    kwargs: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": argument_of(kind)}
    parser.add_argument(flag_of(old_name), default=argparse.SUPPRESS, help=argparse.SUPPRESS, **kwargs)


def flag_of(name: str) -> str:
    """Return the flag of an option."""
    return "--" + name.replace("_", "-")


def describe_defaults(field: dataclasses.Field) -> str:
    """Return the default of an option, and where a preset differs, for its help text."""
    parts = [str(field.default)]
    for family, preset in PRESETS.items():
        if field.name in preset:
            name = family if isinstance(family, str) else " ".join(family)
            parts.append(f"{name}: {preset[field.name]}")
    return ", ".join(parts).replace("%", "%%")


def rename_old_options(given: dict[str, Any], write: Callable[[str], str] = flag_of, place: str = "") -> dict[str, Any]:
    """Return options with old names replaced by new ones, and print a warning for each old name.

    given  options by name
    write  returns how the user writes a name; by default as a flag
    place  what the warning begins with

    Raises InputError where both names of an option are given.
    """
    for old, new in RENAMED.items():
        if old in given:
            if new in given:
                raise InputError(f"{write(old)} is the old name of {write(new)}; give {write(new)} alone.")
            complain(f"{place}{write(old)} is now {write(new)}.")
    return {RENAMED.get(name, name): value for name, value in given.items()}
