"""Write the pages of docs/reference/ from docstrings, type signatures and `Config`.

`python docs/reference/generate.py` rewrites api.md, options.md, run_folder.md and command_line.md beside this file. A
test compares them with what the code says. docs/fill.py writes the tables of the other pages.
"""

import argparse
import ast
import dataclasses
import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numasync
from numasync import cli
from numasync.agent.outputs import ContinuousPolicy, DiscretePolicy, QValues
from numasync.agent.stream import Stream
from numasync.config import PAPER, PRESETS, RENAMED, Config
from numasync.runtime.checks import LARGEST, MOST, SMALLEST
from numasync.tools.studies import Study
from numasync.tools.tuning import Tuning
from numasync.tools.warmup import Warmup
from numasync.training import records

HERE = Path(__file__).parent
WIDTH = 100  # of the help texts, in columns
MARK = "<!-- Written by docs/reference/generate.py; do not edit. -->"

# Classes that nobody imports, because a function or a method of the package makes them.
RETURNED = (Stream, QValues, DiscretePolicy, ContinuousPolicy, Study, Tuning, Warmup)


def generate(folder: Path) -> None:
    """Write every page into a folder."""
    pages = {
        "api.md": write_api,
        "options.md": write_options,
        "run_folder.md": write_run_folder,
        "command_line.md": write_command_line,
    }
    for name, write in pages.items():
        (folder / name).write_text("\n".join([*write(MARK), ""]), encoding="utf-8")


def write_api(mark: str) -> Iterator[str]:
    """Yield the lines of api.md: every name in `numasync.__all__`, by kind."""
    yield from (
        "# API",
        "",
        mark,
        "",
        "Every public name of `numasync`. Import each from there: `from numasync import Agent`.",
    )
    public = {name: getattr(numasync, name) for name in sorted(numasync.__all__)}
    groups: dict[str, dict[str, Any]] = {"Functions": {}, "Classes": {}, "Errors": {}, "Modules": {}, "Constants": {}}
    for name, value in public.items():
        groups[kind_of(value)][name] = value
    for group, members in groups.items():
        if members:
            yield from ("", f"## {group}", "")
            yield from describe_constants(members) if group == "Constants" else describe_all(members)
    yield from (
        "",
        "## Returned objects",
        "",
        "You do not import these classes. A function or a method makes them.",
        "",
    )
    yield from describe_all({value.__name__: value for value in RETURNED})


def kind_of(value: Any) -> str:
    """Return the heading under which a public value stands."""
    if inspect.ismodule(value):
        return "Modules"
    if inspect.isclass(value):
        return "Errors" if issubclass(value, Exception) else "Classes"
    return "Functions" if callable(value) else "Constants"


def describe_constants(members: dict[str, Any]) -> Iterator[str]:
    """Yield a table of values."""
    yield from ("| name | value |", "|---|---|")
    for name, value in members.items():
        yield f"| `{name}` | `{value!r}` |"


def describe_all(members: dict[str, Any]) -> Iterator[str]:
    """Yield the sections of functions, classes and modules, separated by blank lines."""
    for number, (name, value) in enumerate(members.items()):
        if number:
            yield ""
        yield from (f"### {name}", "")
        yield from describe_module(name, value) if inspect.ismodule(value) else describe_object(name, value)


def describe_object(name: str, value: Any) -> Iterator[str]:
    """Yield the signature and docstring of a function or class, and of the public members of a class."""
    yield from fence("py", signature_of(name, value))
    yield from fence("text", docstring_of(value))
    if value is Config:
        yield from ("", "[options.md](options.md) lists the options.")
    if inspect.isclass(value) and not issubclass(value, Exception):
        for member_name, member in public_members(value).items():
            yield from ("", f"#### {name}.{member_name}", "")
            function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(value, member_name))
            prefix = "property " if isinstance(member, property) else ""
            yield from fence("py", prefix + signature_of(f"{name}.{member_name}", function))
            yield from fence("text", docstring_of(member))


def describe_module(name: str, module: ModuleType) -> Iterator[str]:
    """Yield the docstring of a module, and its public functions and classes with their first lines."""
    yield from fence("text", docstring_of(module))
    own = {
        key: value for key, value in vars(module).items() if not key.startswith("_") and is_defined_in(value, module)
    }
    if own:
        yield from ("", f"| in `numasync.{name}` | |", "|---|---|")
    for key, value in own.items():
        signature = " ".join(signature_of(key, value).split()).replace("( ", "(").replace(", )", ")")
        yield f"| `{escape(signature)}` | {escape(' '.join(docstring_of(value).partition(chr(10) * 2)[0].split()))} |"


def is_defined_in(value: Any, module: ModuleType) -> bool:
    """Return whether a function or class is defined in a module, not imported into it."""
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def public_members(value: type) -> dict[str, Any]:
    """Return the methods and properties that a class itself defines under public names, in order."""
    return {
        name: member
        for name, member in vars(value).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
    }


class Verbatim:
    """An annotation that a signature shows as it is written in the source."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def signature_of(name: str, value: Any) -> str:
    """Return `name(parameters) -> result`, one parameter a line where one line would be too long."""
    if value is Config:
        return f"{name}(**options)"
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    written = annotations_of(value)
    parameters = [
        p.replace(annotation=written.get(p.name, p.annotation))
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    result = inspect.Signature.empty if inspect.isclass(value) else written.get("return", signature.return_annotation)
    text = shorten(f"{name}{inspect.Signature(parameters, return_annotation=result)}")
    if len(text) <= WIDTH:
        return text
    arguments, star = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            arguments.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        arguments.append(str(parameter))
    end = str(inspect.Signature(return_annotation=result)).removeprefix("()")
    return shorten("\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){end}"]))


def annotations_of(value: Any) -> dict[str, Any]:
    """Return the annotations of a function, or of a class's __init__, as in its source; {} where there is none."""
    function = vars(value).get("__init__", value) if inspect.isclass(value) else value
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    except (OSError, TypeError):
        return {}
    if not isinstance(node, ast.FunctionDef):
        return {}
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    found = {a.arg: a.annotation for a in arguments if a and a.annotation} | {"return": node.returns}
    return {name: Verbatim(ast.unparse(annotation).strip("'\"")) for name, annotation in found.items() if annotation}


def shorten(text: str) -> str:
    """Return a signature without the modules of its types."""
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", text)


def docstring_of(value: Any) -> str:
    """Return the docstring of a value, its indentation removed."""
    return inspect.getdoc(value) or ""


def fence(language: str, text: str) -> Iterator[str]:
    """Yield a fenced block of text."""
    yield from (f"```{language}", *text.splitlines(), "```")


def escape(text: str) -> str:
    """Return text for the cell of a table."""
    return text.replace("|", "\\|")


def write_options(mark: str) -> Iterator[str]:
    """Yield the lines of options.md: a table of the fields of Config, the presets, and the old names."""
    yield from ("# Options of a run", "", mark, "")
    yield from docstring_of(Config).splitlines()
    yield from (
        "",
        "On the command line an option is `--name-with-dashes`; in Python it is a keyword of `numasync.train`.",
    )
    yield from ("", "| option | default | values | meaning | changed by presets |", "|---|---|---|---|---|")
    for field in dataclasses.fields(Config):
        cells = (f"`{field.name}`", f"`{field.default}`", values_of(field))
        changes = "<br>".join(f"{name}: `{preset[field.name]}`" for name, preset in presets() if field.name in preset)
        yield f"| {' | '.join(escape(cell) for cell in (*cells, field.metadata['help'], changes))} |"
    yield from (
        "",
        "A preset belongs to a family of environments, or to a family and one algorithm. The preset with an algorithm",
        "takes precedence. `numasync envs` lists the family of each environment. With `--preset paper` the network is",
        "the family's. Other values then come from the column `default`, or from a preset with `paper` in its name.",
    )
    yield from ("", "## Old names", "", "The next release no longer accepts the old names.", "")
    yield from ("| old name | new name |", "|---|---|")
    yield from (f"| `{old}` | `{new}` |" for old, new in RENAMED.items())


def presets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the values of each preset."""
    for key, preset in PRESETS.items():
        yield key if isinstance(key, str) else " ".join(key), preset
    for family, preset in PAPER.items():
        yield f"{family}, paper", preset


def values_of(field: dataclasses.Field) -> str:
    """Return the values that an option can have: its choices, or its type and range."""
    if field.name == "network":
        return "a name, or in Python a tuple of layers"
    if field.metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in field.metadata["choices"])
    name = field.type.__name__ if isinstance(field.type, type) else str(field.type).replace("typing.", "")
    if field.type not in (int, float):
        return f"`{name}`"
    low, high = field.metadata["low"], field.metadata["high"]
    if high in (LARGEST, MOST):
        return f"`{name}`, above 0" if low == SMALLEST else f"`{name}`, {low:g} or more"
    return f"`{name}`, {low:g} to {high:,g}"


def write_run_folder(mark: str) -> Iterator[str]:
    """Yield the lines of run_folder.md, from the docstring of `training/records.py`."""
    yield from (
        "# Files of a run",
        "",
        mark,
        "",
        "`numasync train --out DIR` and `numasync.train(out=...)` write these files.",
        "",
    )
    yield from fence("text", docstring_of(records))
    yield from ("", "| file | columns |", "|---|---|")
    yield f"| `{records.MONITOR}` | `{','.join(records.EPISODE_COLUMNS)}` |"
    yield f"| `{records.EVALUATIONS}` | `{','.join(records.EVALUATION_COLUMNS)}` |"


def write_command_line(mark: str) -> Iterator[str]:
    """Yield the lines of command_line.md: the help text of every verb."""
    yield from (
        "# Command line",
        "",
        mark,
        "",
        "`numasync`, `python -m numasync` and, in a checkout, `python run.py` are the same program.",
    )
    yield from ("", "| exit code | meaning |", "|---|---|", "| 0 | done |", "| 1 | the run failed |")
    yield "| 2 | bad input: one sentence says what, and nothing was written |"
    yield "| 130, 143, 129 | stopped by Ctrl-C, SIGTERM, SIGHUP; [how to go on](../howto/resume.md) |"
    yield from ("", "| command | does |", "|---|---|")
    yield from (
        f"| [`{name}`](#{name}) | {(verb.description or '').partition('. ')[0].rstrip('.')} |"
        for name, verb in verbs().items()
    )
    for name, verb in verbs().items():
        yield from ("", f"## {name}", "", *fence("text", help_of(verb)))


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every verb, by name."""
    actions = cli.parser()._actions
    return dict(next(action for action in actions if isinstance(action, argparse._SubParsersAction)).choices)


def help_of(verb: argparse.ArgumentParser) -> str:
    """Return a help text at a fixed width, without colours."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS=str(WIDTH), NO_COLOR="1")
    try:
        return verb.format_help().rstrip()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


if __name__ == "__main__":
    generate(HERE)
