"""Whole trainings at 1 to N workers, without compilation and evaluation, beside the environment alone: random actions
on as many threads as there are cores."""

from statistics import median
from typing import NamedTuple

from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env
from numasync.runtime.affinity import cores
from numasync.tools.bench.environments import players_of, speed
from numasync.tools.bench.measure import in_turn, median_ratio
from numasync.tools.bench.subjects import CARTPOLE, MINATAR, PONG, usable
from numasync.training.trainer import Trainer

ENDLESS = 10**12
ALGORITHMS = ("a3c", "nstep_q")

# Options beside the environment's preset.
TRAININGS = (
    (CARTPOLE, {"t_max": 5}),
    (CARTPOLE, {"t_max": 40}),
    (MINATAR, {}),
    (PONG, {"t_max": 5}),
    (PONG, {"t_max": 20}),
)


def measure(options):
    found, notes = usable(CARTPOLE, MINATAR, PONG)
    trainings = [
        Training(env_id, algorithm, given) for env_id, given in TRAININGS for algorithm in ALGORITHMS if env_id in found
    ]
    readings = {
        (i, workers): lambda training=training, workers=workers: training.speed(workers, options.turn)
        for i, training in enumerate(trainings)
        for workers in options.workers
    }
    for env_id in found:
        players = players_of(env_id, cores())
        readings[env_id] = lambda players=players: speed(players, options.turn)
    samples = in_turn(readings, options.repetitions)
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


class Training:
    """One environment, algorithm and preset, trained again and again for a moment; the parameters go on from one to
    the next, so that all but the first are of an agent that knows its game a little."""

    def __init__(self, env_id, algorithm, given):
        self.options = dict(env=env_id, algo=algorithm, **given)
        self.theta = {}
        config = trainer_of(workers=1, **self.options).config
        self.labels = {"environment": env_id, "algorithm": algorithm, "t_max": config.t_max}

    def speed(self, workers, seconds):
        """Actions a second of all workers, over `seconds` of training."""
        trainer = trainer_of(workers=workers, **self.options)
        if workers in self.theta:
            trainer.theta[:] = self.theta[workers]
        first, last = train_for(trainer, seconds, Counted.of)
        self.theta[workers] = trainer.snapshot
        return (last.steps - first.steps) / (last.seconds - first.seconds)


class Counted(NamedTuple):
    steps: int
    seconds: float

    @staticmethod
    def of(trainer):
        return Counted(trainer.steps, trainer.seconds)


def trainer_of(**options):
    """A Trainer with the preset of its environment; without `steps` among the options it does not end of itself."""
    env = make_env(options["env"])
    env.close()
    config = make_config(env.spec.family, **{"steps": ENDLESS, **options})
    return Trainer(config, env.spec, Agent(config, env.spec).network)


def train_for(trainer, seconds, read):
    """Train for `seconds` and then stop as at a Ctrl-C; return read(trainer) from the first look at the running
    workers and from the last."""
    readings = []

    def look(trainer):
        readings.append((trainer.seconds, read(trainer)))
        if trainer.seconds >= readings[0][0] + seconds:
            raise KeyboardInterrupt

    trainer.train(look)
    if not readings or trainer.seconds < readings[0][0] + seconds:
        raise KeyboardInterrupt  # the user's own, which the trainer has taken for ours
    return readings[0][1], readings[-1][1]
