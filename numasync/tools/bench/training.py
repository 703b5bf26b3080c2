"""Measure whole trainings at 1 to N workers, without compilation and evaluation.

They are compared with the environment alone: random actions on one thread for each core.
"""

from collections.abc import Callable, Hashable
from functools import partial
from statistics import median
from typing import Any, TypeVar

import numpy as np

from numasync.agent.network import build_network
from numasync.config import make_config
from numasync.envs import make_env
from numasync.runtime.affinity import cores
from numasync.tools.bench.environments import make_players, measure_speed
from numasync.tools.bench.measure import median_ratio, take_turns
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.workloads import CARTPOLE, MINATAR, PONG, find_usable
from numasync.training.progress import Progress
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer

ENDLESS_STEPS = 10**12
ALGORITHMS = ("a3c", "nstep_q")

# Environments with the options that differ from the preset.
TRAININGS: tuple[tuple[str, dict[str, Any]], ...] = (
    (CARTPOLE, {"t_max": 5}),
    (CARTPOLE, {"t_max": 40}),
    (MINATAR, {}),
    (PONG, {"t_max": 5}),
    (PONG, {"t_max": 20}),
)

Reading = TypeVar("Reading")


def measure(options: Options) -> Section:
    """Measure the steps per second of each training at each number of workers."""
    found, notes = find_usable(CARTPOLE, MINATAR, PONG)
    trainings = [
        TimedTraining(env_id, algorithm, given)
        for env_id, given in TRAININGS
        for algorithm in ALGORITHMS
        if env_id in found
    ]
    readings: dict[Hashable, Callable[[], float]] = {
        (i, workers): partial(training.measure_speed, workers, options.turn)
        for i, training in enumerate(trainings)
        for workers in options.workers
    }
    for env_id in found:
        readings[env_id] = partial(measure_speed, make_players(env_id, cores()), options.turn)
    samples = take_turns(readings, options.repetitions)
    rows = [
        {
            **training.labels,
            "workers": workers,
            "steps_per_s": median(samples[i, workers]),
            "scaling": median_ratio(samples[i, workers], samples[i, options.workers[0]]),
            "of_environment": median_ratio(samples[i, workers], samples[training.labels["environment"]]),
        }
        for i, training in enumerate(trainings)
        for workers in options.workers
    ]
    return {"rows": rows, "summary": {}, "notes": notes}


class TimedTraining:
    """One environment, algorithm and preset, trained for a moment again and again.

    Each training starts from the parameters of the one before. So in all but the first the agent knows its game a
    little.

    theta   {number of workers: the last parameters}
    labels  the first columns of its rows
    """

    def __init__(self, env_id: str, algorithm: str, given: dict[str, Any]) -> None:
        self.options: dict[str, Any] = dict(env=env_id, algo=algorithm, **given)
        self.theta: dict[int, np.ndarray] = {}
        config = make_trainer(workers=1, **self.options).config
        self.labels: dict[str, Any] = {"environment": env_id, "algorithm": algorithm, "t_max": config.t_max}

    def measure_speed(self, workers: int, seconds: float) -> float:
        """Return the steps per second of all workers together, over `seconds` of training."""
        trainer = make_trainer(workers=workers, **self.options)
        if workers in self.theta:
            trainer.theta[:] = self.theta[workers]
        first, last = train_for(trainer, seconds, lambda progress: progress)
        self.theta[workers] = trainer.theta.copy()
        return (last.steps - first.steps) / (last.seconds - first.seconds)


def make_trainer(**options: Any) -> Trainer:
    """Return a Trainer with the preset of its environment. Without the option `steps` it never ends by itself."""
    env = make_env(options["env"])
    env.close()
    config = make_config(env.spec.family, **{"steps": ENDLESS_STEPS, **options})
    return Trainer(config, env.spec, build_network(config, env.spec))


def train_for(trainer: Trainer, seconds: float, read: Callable[[Progress], Reading]) -> tuple[Reading, Reading]:
    """Train for `seconds`, then stop as Ctrl-C does. Return read(progress) at the first and the last progress report.

    At least one step lies between the two. On a busy machine the workers may have to wait longer than `seconds` for a
    core.

    Raises KeyboardInterrupt where the user has pressed Ctrl-C.
    """
    seen: list[Progress] = []
    readings: list[Reading] = []

    def is_long_enough() -> bool:
        first, last = seen[0], seen[-1]
        return last.seconds >= first.seconds + seconds and last.steps > first.steps

    def look(progress: Progress) -> None:
        seen.append(progress)
        readings.append(read(progress))
        if is_long_enough():
            raise KeyboardInterrupt

    Supervisor(trainer).run(look)
    if not seen or not is_long_enough():
        raise KeyboardInterrupt  # The user pressed Ctrl-C, and the supervisor ended the run as it does for ours.
    return readings[0], readings[-1]
