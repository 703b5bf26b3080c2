"""What a tuning is: its options, checked and written out as its settings, and the folder that keeps them."""

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from numasync.agent.description import parse_network
from numasync.agent.environment import make_env_of
from numasync.algorithms import algorithm_for
from numasync.config import Config, make_config, validate_options
from numasync.errors import InputError
from numasync.runtime.checks import MOST, as_whole_number
from numasync.runtime.files import safe_name
from numasync.tools.settings_folder import open_with_settings
from numasync.tools.tuning.space import Values, make_space, round_value

SETTINGS = "tuning.json"

# The seed of the first trial. Results are reported for other seeds, such as 1 to 5, because options that were chosen on
# a seed look better on it than they are.
SEED = 1_000
MOST_TRIALS = 100_000

# Periodic evaluations of a trial, where `eval_every` is not given. After each one the trial can be pruned.
EVALUATIONS = 10


def make_settings(env: str, algo: str, **options: Any) -> dict[str, Any]:
    """Return the settings of a tuning: a dict that JSON can hold.

    env, algo  the environment and the algorithm
    options    the options of a run that are given, and so fixed

    Its item `fixed` has every option of a run that is not searched, `space` the values of the others. Raises InputError
    for bad input.
    """
    given = {"deterministic": True, "seed": SEED, **validate_options({**options, "env": env, "algo": algo})}
    seed = as_whole_number("seed", given["seed"], 0, MOST - MOST_TRIALS)
    with closing(make_env_of(given)) as made:
        config = make_config(made.spec.family, **given)
        algorithm = algorithm_for(algo, made.spec)
    if "eval_every" not in given:
        config = dataclasses.replace(config, eval_every=max(config.steps // EVALUATIONS, 1))
    space = {name: values for name, values in make_space(config, algorithm).items() if name not in given}
    if not space:
        raise InputError("Every option that a tuning searches is given; leave one out, such as lr.")
    fixed = {name: value for name, value in dataclasses.asdict(config).items() if name not in {*space, "seed"}}
    settings = {"seed": seed, "fixed": fixed, "space": {name: values._asdict() for name, values in space.items()}}
    return json.loads(json.dumps(settings))


def space_of(settings: Mapping[str, Any]) -> dict[str, Values]:
    """Return what is searched, by option. settings: of `make_settings`."""
    return {
        name: Values(**{**values, "choices": tuple(values["choices"])}) for name, values in settings["space"].items()
    }


def options_of(settings: Mapping[str, Any], drawn: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return all options of a trial: a dict that JSON can hold, as in the config.json of a run.

    settings  of `make_settings`
    drawn     what it has drawn, by option
    seed      of its run
    """
    rounded = {name: round_value(drawn[name], values) for name, values in space_of(settings).items()}
    given = {**settings["fixed"], **rounded, "seed": seed}
    return {field.name: given[field.name] for field in dataclasses.fields(Config)}


def as_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a trial as `train` takes them."""
    return {**options, "network": parse_network(options["network"])}


def default_folder(settings: Mapping[str, Any]) -> Path:
    """Return the folder of a tuning for which no folder is given."""
    return Path("tunings", safe_name(f"{settings['fixed']['env']}-{settings['fixed']['algo']}"))


def open_folder(out: str | os.PathLike, settings: dict[str, Any]) -> AbstractContextManager[Path]:
    """Give the folder of a tuning with these settings for the length of a `with` block, see `open_with_settings`.

    Several programs may work on it: the database gives each of them other trials.
    """
    return open_with_settings(out, settings, SETTINGS, "tuning", together=True)
