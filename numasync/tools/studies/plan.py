"""What a study is: its options, checked and written out as its settings, and the runs that follow from the settings."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from numasync.agent.environment import make_env_of
from numasync.algorithms import ALGORITHMS, algorithm_for, algorithms_for
from numasync.config import Config, make_config, validate_options
from numasync.envs.objects import as_env_id
from numasync.errors import InputError
from numasync.runtime.affinity import cores
from numasync.runtime.checks import MOST, SMALLEST, as_real_number, as_whole_number, check_choice, check_text, show

# Section 5.1: initial learning rates are drawn from LogUniform of this range. They are rounded to a few digits, so that
# a table holds exactly the rate that was used.
LR_LOW, LR_HIGH = 1e-4, 1e-2
LR_DIGITS = 6

# Table 2 and figures 3 and 4.
WORKERS = (1, 2, 4, 8, 16)

# How the workers of a run are played: in turns by one thread (`deterministic`), or each by its own thread.
TURNS, THREADS = "turns", "threads"

MOST_RUNS = 100_000


class StudySpec(NamedTuple):
    """A study of the paper.

    about       what it is, for the help text
    algos       its algorithms, where none are given
    runs        its number of runs, where none is given
    optimizers  the optimisers that it compares; () for the preset's optimiser alone
    draws_lr    whether each run has a learning rate of its own
    """

    about: str
    algos: tuple[str, ...]
    runs: int
    optimizers: tuple[str, ...]
    draws_lr: bool


STUDIES = {
    "optimizers": StudySpec(
        about="figure S5, three optimisers at many learning rates",
        algos=("nstep_q", "a3c"),
        runs=50,
        optimizers=("momentum_sgd", "rmsprop", "shared_rmsprop"),
        draws_lr=True,
    ),
    "lr": StudySpec(
        about="figure 2, many learning rates and initialisations",
        algos=tuple(ALGORITHMS),
        runs=50,
        optimizers=(),
        draws_lr=True,
    ),
    "threads": StudySpec(
        about="figures 3 and 4 and table 2, 1 to 16 workers",
        algos=tuple(ALGORITHMS),
        runs=5,
        optimizers=(),
        draws_lr=False,
    ),
}


def make_settings(
    name: str,
    env: str,
    algos: str | Sequence[str] | None = None,
    runs: int | None = None,
    steps: int | None = None,
    workers: int | None = None,
    seed: int = 1,
    lr_low: float | None = None,
    lr_high: float | None = None,
) -> dict[str, Any]:
    """Return the settings of a study: a dict that JSON can hold, from which `runs_of` makes the runs.

    The arguments are the arguments of `numasync.study`. The item `presets` has, for each algorithm, every option of a
    run that the study does not vary. Raises InputError for bad input.
    """
    check_choice(name, STUDIES, "no study")
    spec = STUDIES[name]
    runs = as_whole_number("runs", spec.runs if runs is None else runs, 1, MOST_RUNS)
    seed = as_whole_number("seed", seed, 0, MOST - MOST_RUNS)
    check_text("env", env)
    as_env_id(env)
    given = {key: value for key, value in dict(env=env, steps=steps, workers=workers).items() if value is not None}
    reject_fixed_options(name, workers=workers, lr_low=lr_low, lr_high=lr_high)
    settings: dict[str, Any] = {"study": name, "env": env, "runs": runs, "seed": seed}
    if spec.draws_lr:
        settings |= dict(zip(("lr_low", "lr_high"), parse_lr_range(lr_low, lr_high)))
    else:
        # The seconds of different machines must not be mixed in one table.
        settings |= {"workers": list(WORKERS), "cores": cores()}
    settings["presets"] = make_presets(spec, validate_options(given), algos)
    return settings


def reject_fixed_options(name: str, **options: Any) -> None:
    """Raise InputError for an option that is given but fixed by study `name`. options: None where not given."""
    given = [option for option, value in options.items() if value is not None]
    if given and not STUDIES[name].draws_lr:
        raise InputError(f"{given[0]} is nothing to choose in the study of {name}; leave it out.")


def parse_lr_range(lr_low: float | None, lr_high: float | None) -> tuple[float, float]:
    """Return the least and the greatest learning rate. None means the default. Raises InputError."""
    low = as_real_number("lr_low", LR_LOW if lr_low is None else lr_low, SMALLEST, 1.0)
    high = as_real_number("lr_high", LR_HIGH if lr_high is None else lr_high, SMALLEST, 1.0)
    if low > high:
        raise InputError(f"lr_low is {low!r} and lr_high {high!r}; the first must not be above the second.")
    return low, high


def make_presets(
    spec: StudySpec, given: dict[str, Any], algos: str | Sequence[str] | None
) -> dict[str, dict[str, Any]]:
    """Return the options that all runs of an algorithm share, for each algorithm in the order of ALGORITHMS.

    spec   the study
    given  the options of a run that are given
    algos  the algorithms that are given; None for the study's

    Raises InputError where an algorithm does not fit the environment.
    """
    with closing(make_env_of(given)) as env:
        known = algorithms_for(env.spec)
        names = [algo for algo in spec.algos if algo in known] if algos is None else parse_algorithms(algos)
        configs = {name: make_config(env.spec.family, **given, algo=name) for name in names}
        for name in names:
            algorithm_for(name, env.spec)
    varied = {"algo", "env", "seed", "deterministic", "eval_every"}
    return {
        name: {key: value for key, value in dataclasses.asdict(configs[name]).items() if key not in varied}
        for name in ALGORITHMS
        if name in configs
    }


def parse_algorithms(algos: str | Sequence[str]) -> Sequence[str]:
    """Return the names in a text such as 'a3c,nstep_q', or in a list. `make_config` checks each name.

    Raises InputError where there are no names.
    """
    names = algos.split(",") if isinstance(algos, str) else algos
    if not isinstance(names, (list, tuple)) or not names:
        raise InputError(f"algos is {show(algos)}; it must be names of algorithms, such as 'a3c,nstep_q'.")
    return names


def learning_rates(settings: dict[str, Any]) -> list[float]:
    """Return the learning rates of a study, drawn from LogUniform(lr_low, lr_high) with its seed.

    A study of more runs begins with the same rates.
    """
    low, high = np.log([settings["lr_low"], settings["lr_high"]])
    rates = np.exp(np.random.default_rng(settings["seed"]).uniform(low, high, settings["runs"]))
    return [float(f"{rate:.{LR_DIGITS}g}") for rate in rates]


def runs_of(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a study in the order in which they are begun.

    A run is a dict of plain data: what distinguishes it from the others, see `table.IDENTITY`, and its max_steps. All
    algorithms and optimisers get the same pairs of rate and seed. The order keeps an unfinished study balanced: every
    algorithm and optimiser has its i-th run before one has its next.
    """
    draws_lr = STUDIES[settings["study"]].draws_lr
    rates: Sequence[float | None] = learning_rates(settings) if draws_lr else [None] * settings["runs"]
    runs = [run for i, rate in enumerate(rates) for run in runs_of_seed(settings, i, rate)]
    # Timed runs come last, one at a time.
    return sorted(runs, key=lambda run: run["mode"] == THREADS)


def runs_of_seed(settings: dict[str, Any], i: int, lr: float | None) -> Iterator[dict[str, Any]]:
    """Yield the i-th run of every algorithm, optimiser and number of workers. lr: None for the preset's."""
    spec = STUDIES[settings["study"]]
    for algo, preset in settings["presets"].items():
        for optimizer in spec.optimizers or (preset["optimizer"],):
            for workers, mode in worker_modes(settings, preset):
                yield {
                    "study": settings["study"],
                    "env": settings["env"],
                    "algo": algo,
                    "optimizer": optimizer,
                    "lr": lr or preset["lr"],
                    "workers": workers,
                    "mode": mode,
                    "seed": settings["seed"] + i,
                    "max_steps": preset["steps"],
                }


def worker_modes(settings: dict[str, Any], preset: dict[str, Any]) -> list[tuple[int, str]]:
    """Return the (workers, mode) of the runs of one algorithm, optimiser and seed.

    Runs that do not measure time are played in turns. They repeat bit for bit, need no core for each worker, and leave
    the other cores to other runs.
    """
    if STUDIES[settings["study"]].draws_lr:
        return [(preset["workers"], TURNS)]
    timed = [(workers, THREADS) for workers in settings["workers"] if workers <= settings["cores"]]
    return [(workers, TURNS) for workers in settings["workers"]] + timed


def options_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `numasync.train` for a run."""
    names = {field.name for field in dataclasses.fields(Config)}
    options = {name: value for name, value in run.items() if name in names}
    options["env"] = as_env_id(options["env"])  # in the process that plays the run
    return options | dict(steps=run["max_steps"], deterministic=run["mode"] == TURNS, eval_every=0)
