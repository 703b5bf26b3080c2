"""What a tuning searches: for each option of a run the values that a trial can draw.

| option            | values                              | drawn for                    |
|-------------------|-------------------------------------|------------------------------|
| `lr`              | LogUniform(1e-4, 1e-2)              | every algorithm              |
| `t_max`           | 5, 10, 20, 40                       | every algorithm              |
| `clip_norm`       | 0.5, 5, 40                          | every algorithm              |
| `rms_eps`         | LogUniform(1e-5, 1e-1)              | the optimisers with RMSProp  |
| `beta`            | LogUniform(1e-4, 1e-1)              | a3c                          |
| `target_interval` | LogUniform, 250 to 40,000 steps     | the Q methods                |
| `epsilon_steps`   | LogUniform, 1/50 to 1/2 of the run  | the Q methods                |

The range of the learning rate is the paper's (Mnih et al. 2016, section 5.1). The paper fixes the others, and these
ranges enclose its values and the values of the presets. A short run has a shorter `target_interval`, a quarter of it at
most. gamma is left out, because it says what is learned, not how.
"""

from typing import Any, NamedTuple

from numasync.algorithms import Algorithm
from numasync.algorithms.policy import EPSILON_GREEDY
from numasync.config import Config

# The kinds of values: a real number or a whole one, equally often in each power of 10, or one of some values.
REAL, WHOLE, CHOICE = "real", "whole", "choice"

# A real number is rounded to these digits, so that a file holds exactly the number that was used.
DIGITS = 4

MOMENTUM = "momentum_sgd"


class Values(NamedTuple):
    """The values of an option.

    kind       REAL, WHOLE or CHOICE
    low, high  the least and the greatest number
    choices    the values of a CHOICE
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[float, ...] = ()


def make_space(config: Config, algorithm: Algorithm) -> dict[str, Values]:
    """Return what is searched, by option. An option that a user gives is taken out later.

    config     the options of a run, without what is searched
    algorithm  the algorithm of the run
    """
    space = {
        "lr": Values(REAL, 1e-4, 1e-2),
        "t_max": Values(CHOICE, choices=(5, 10, 20, 40)),
        "clip_norm": Values(CHOICE, choices=(0.5, 5.0, 40.0)),
    }
    if config.optimizer != MOMENTUM:
        space["rms_eps"] = Values(REAL, 1e-5, 1e-1)
    if algorithm.policy == EPSILON_GREEDY:
        longest = max(min(40_000, config.steps // 4), 1)
        space["target_interval"] = Values(WHOLE, min(250, longest), longest)
        space["epsilon_steps"] = Values(WHOLE, max(config.steps // 50, 1), max(config.steps // 2, 1))
    else:
        space["beta"] = Values(REAL, 1e-4, 1e-1)
    return space


def distribution_of(values: Values, distributions: Any) -> Any:
    """Return values as Optuna's distribution. distributions: Optuna's module."""
    if values.kind == CHOICE:
        return distributions.CategoricalDistribution(values.choices)
    if values.kind == WHOLE:
        return distributions.IntDistribution(int(values.low), int(values.high), log=True)
    return distributions.FloatDistribution(values.low, values.high, log=True)


def round_value(value: Any, values: Values) -> Any:
    """Return a value that was drawn as it is used. values: what it was drawn from."""
    return float(f"{value:.{DIGITS}g}") if values.kind == REAL else value
