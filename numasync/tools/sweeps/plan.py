"""What a sweep is: a grid of options, checked, and the runs that follow from it."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from numasync.agent.description import parse_network
from numasync.config import Config, validate_options
from numasync.errors import InputError
from numasync.runtime.checks import show
from numasync.runtime.files import safe_name
from numasync.training.train import make_agent

MOST_RUNS = 100_000
# What a run of a sweep has: the name of its folder, and its options.
NAME, OPTIONS = "name", "options"
# The options that a name begins with, and that the table always has.
FIRST = ["env", "algo", "seed"]
SHORT = ("env", "algo")  # a name has them without their keys

# A value for each option, or a list of values to try.
Grid = dict[str, Any]


def check_grid(grid: Mapping[str, Any]) -> Grid:
    """Return a grid that JSON can hold, each value checked. Raises InputError."""
    if not isinstance(grid, Mapping):
        raise InputError(f"The grid is {show(grid)}; it must hold options of a run by their names.")
    checked: Grid = {"env": Config.env, "algo": Config.algo, "seed": Config.seed, "deterministic": True}
    for name, given in grid.items():
        if not isinstance(name, str):
            raise InputError(f"The grid has the key {show(name)}; it must hold options of a run by their names.")
        values = given if is_axis(given) else [given]
        if not values:
            raise InputError(f"{name} is an empty list; a grid needs a value, or a list of values to try.")
        for value in values:
            check_value(name, value)
        unique = list({json.dumps(value): value for value in values}.values())
        checked[name] = unique if is_axis(given) else given
    total = 1
    for value in checked.values():
        total *= len(value) if is_axis(value) else 1
    if total > MOST_RUNS:
        raise InputError(f"The grid has {total:,} runs; a sweep can have {MOST_RUNS:,}.")
    return json.loads(json.dumps(checked))


def is_axis(value: Any) -> bool:
    """Return whether a value of a grid is a list of values to try. The layers of one network are none."""
    return isinstance(value, list) and not (value and all(isinstance(each, dict) for each in value))


def check_value(name: str, value: Any) -> None:
    """Raise InputError where an option of a run cannot have a value."""
    try:
        json.dumps(value)
        validate_options({name: parse_network(value) if name == "network" else value})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is {show(value)}; a grid holds plain values and lists of them.") from error


def varied_options(grid: Grid) -> list[str]:
    """Return the options that distinguish runs: env, algo, seed, and each with more than one value."""
    return [*FIRST, *(name for name, value in grid.items() if is_axis(value) and len(value) > 1 and name not in FIRST)]


def make_runs(grid: Grid) -> list[dict[str, Any]]:
    """Return the runs of a grid. Each seed has all its runs before the next has one.

    Raises InputError where options do not fit together.
    """
    names = ["seed", *(name for name in grid if name != "seed")]
    axes = [grid[name] if is_axis(grid[name]) else [grid[name]] for name in names]
    varied = varied_options(grid)
    runs: list[dict[str, Any]] = []
    for values in itertools.product(*axes):
        options = dict(zip(names, values))
        text = "-".join(f"{'' if name in SHORT else name}{options[name]}" for name in varied)
        runs.append({NAME: safe_name(text), OPTIONS: options})
    if len({run[NAME] for run in runs}) < len(runs):  # long values that a name shortens
        runs = [{**run, NAME: f"{i:05d}-{run[NAME]}"} for i, run in enumerate(runs)]
    for run in runs:
        if run[OPTIONS]["seed"] == runs[0][OPTIONS]["seed"]:
            make_agent(**as_arguments(run))
    return runs


def as_arguments(run: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a run as `train` takes them."""
    options = dict(run[OPTIONS])
    if "network" in options:
        options["network"] = parse_network(options["network"])
    return options
