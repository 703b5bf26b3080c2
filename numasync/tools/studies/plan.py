"""What a study is: its options, checked and written out as its settings; and the runs that follow from these alone."""

import dataclasses
from contextlib import closing
from typing import NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHMS, CONTINUOUS, algorithm_for
from numasync.config import Config, checked, make_config
from numasync.runtime.checks import MOST, SMALLEST, check_real_number, check_whole_number
from numasync.runtime.affinity import cores
from numasync.envs import make_env
from numasync.errors import InputError

# Section 5.1: initial learning rates are drawn from LogUniform of this range. With fewer digits, so that a table holds
# exactly the rate that was used.
LR_LOW, LR_HIGH = 1e-4, 1e-2
LR_DIGITS = 6

# Table 2 and figures 3 and 4.
WORKERS = (1, 2, 4, 8, 16)

# How the workers of a run are played: in turns by one thread (`deterministic`), or each by its own.
TURNS, THREADS = "turns", "threads"

MOST_RUNS = 100_000


class Kind(NamedTuple):
    """A study of the paper. about: for the help text. algos, runs: what is not given. optimizers: those that are
    compared; () for the preset's alone. draws_lr: each run has a learning rate of its own."""

    about: str
    algos: tuple
    runs: int
    optimizers: tuple
    draws_lr: bool


STUDIES = {
    "optimizers": Kind(
        "figure S5, three optimisers at many learning rates",
        ("nstep_q", "a3c"),
        50,
        ("momentum_sgd", "rmsprop", "shared_rmsprop"),
        True,
    ),
    "lr": Kind("figure 2, many learning rates and initialisations", tuple(ALGORITHMS), 50, (), True),
    "threads": Kind("figures 3 and 4 and table 2, 1 to 16 workers", tuple(ALGORITHMS), 5, (), False),
}


def make_settings(name, env, algos=None, runs=None, steps=None, workers=None, seed=1, lr_low=None, lr_high=None):
    """The settings of study `name`, a dict that JSON can hold and from which `runs_of` follows; the arguments are
    those of `studies.study`. presets: by algorithm, every option of a run that the study does not vary. Raises
    InputError, one sentence."""
    if name not in STUDIES:
        raise InputError(f"{name!r} is no study; choose one of {', '.join(STUDIES)}.")
    kind = STUDIES[name]
    runs = kind.runs if runs is None else runs
    check_whole_number("runs", runs, 1, MOST_RUNS)
    check_whole_number("seed", seed, 0, MOST - MOST_RUNS)
    given = {key: value for key, value in dict(env=env, steps=steps, workers=workers).items() if value is not None}
    refuse_what_is_fixed(name, workers=workers, lr_low=lr_low, lr_high=lr_high)
    settings = {"study": name, "env": env, "runs": runs, "seed": seed}
    if kind.draws_lr:
        settings |= dict(zip(("lr_low", "lr_high"), checked_range(lr_low, lr_high)))
    else:
        # Seconds of different machines are not to be mixed in one table.
        settings |= {"workers": list(WORKERS), "cores": cores()}
    settings["presets"] = presets(kind, checked(given), algos)
    return settings


def refuse_what_is_fixed(name, **options):
    """Raise InputError for an option that study `name` has no use for."""
    given = [option for option, value in options.items() if value is not None]
    if given and not STUDIES[name].draws_lr:
        raise InputError(f"{given[0]} is nothing to choose in the study of {name}; leave it out.")


def checked_range(lr_low, lr_high):
    """The least and the greatest learning rate."""
    low, high = LR_LOW if lr_low is None else lr_low, LR_HIGH if lr_high is None else lr_high
    check_real_number("lr_low", low, SMALLEST, 1.0)
    check_real_number("lr_high", high, SMALLEST, 1.0)
    if low > high:
        raise InputError(f"lr_low is {low!r} and lr_high {high!r}; the first must not be above the second.")
    return float(low), float(high)


def presets(kind, given, algos):
    """By algorithm, in the order of ALGORITHMS, the Config as a dict without what a run brings itself."""
    with closing(make_env(given["env"])) as env:
        known = CONTINUOUS if env.spec.continuous else ALGORITHMS
        names = chosen(algos) if algos is not None else [algo for algo in kind.algos if algo in known]
        configs = {name: make_config(env.spec.family, **given, algo=name) for name in names}
        for name in names:
            algorithm_for(name, env.spec)
    varied = {"algo", "env", "seed", "deterministic", "eval_every"}
    return {
        name: {key: value for key, value in dataclasses.asdict(configs[name]).items() if key not in varied}
        for name in ALGORITHMS
        if name in configs
    }


def chosen(algos):
    """The names in a text such as 'a3c,nstep_q', or of a list; each is checked by `make_config`."""
    names = algos.split(",") if isinstance(algos, str) else algos
    if not isinstance(names, (list, tuple)) or not names:
        raise InputError(f"algos is {algos!r}; it must be names of algorithms, such as 'a3c,nstep_q'.")
    return names


def learning_rates(settings):
    """LogUniform(lr_low, lr_high) of the study's seed, a list of `runs`, of which the first are those of fewer runs."""
    low, high = np.log([settings["lr_low"], settings["lr_high"]])
    drawn = np.exp(np.random.default_rng(settings["seed"]).uniform(low, high, settings["runs"]))
    return [float(f"{rate:.{LR_DIGITS}g}") for rate in drawn]


def runs_of(settings):
    """The runs of a study in the order in which they are begun, each a dict of plain data: what tells it from the others,
    see `table.IDENTITY`, and its max_steps. All algorithms and optimisers get the same pairs of rate and seed, and
    what is finished of a study is balanced at any time."""
    rates = learning_rates(settings) if STUDIES[settings["study"]].draws_lr else [None] * settings["runs"]
    runs = [run for i, rate in enumerate(rates) for run in runs_of_seed(settings, i, rate)]
    # Those that are timed come last, alone; and one of each number before the second of any.
    return sorted(runs, key=lambda run: run["mode"] == THREADS)


def runs_of_seed(settings, i, lr):
    """The i-th run of everything that is compared. lr: None for the preset's."""
    kind = STUDIES[settings["study"]]
    for algo, preset in settings["presets"].items():
        for optimizer in kind.optimizers or (preset["optimizer"],):
            for workers, mode in ways(settings, preset):
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


def ways(settings, preset):
    """The (workers, mode) of the runs. Whatever does not measure time is played in turns: it repeats bit for bit,
    does not need as many cores as workers, and leaves the other cores to other runs."""
    if STUDIES[settings["study"]].draws_lr:
        return [(preset["workers"], TURNS)]
    timed = [(workers, THREADS) for workers in settings["workers"] if workers <= settings["cores"]]
    return [(workers, TURNS) for workers in settings["workers"]] + timed


def options_of(run):
    """The keywords of `numasync.train` for a run."""
    names = {field.name for field in dataclasses.fields(Config)}
    options = {name: value for name, value in run.items() if name in names}
    return options | dict(steps=run["max_steps"], deterministic=run["mode"] == TURNS, eval_every=0)
