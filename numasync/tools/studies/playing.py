"""One run of a study, from plain data to plain data: what an executor is given."""

from math import nan

import numpy as np

from numasync.errors import NotFiniteError
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, play_episodes, summary
from numasync.tools.studies.plan import options_of
from numasync.training.trainer import Trainer
from numasync.training.run import train, untrained

# Of a curve: how often the parameters are looked at between the start and the end of a run.
LOOKS = 25


def final_score(run):
    """Train as `run` says, see `plan.runs_of`; return [row]: the steps T, the score (mean of the run's eval_episodes
    evaluation episodes with the final parameters), the mean return of its last 100 training episodes, and wall_s, the
    seconds of training alone. A run that diverges has no number of these."""
    try:
        result = train(**options_of(run)).result
    except NotFiniteError:
        return [dict.fromkeys(("steps", "score", "training", "wall_s"), nan)]
    refuse_interrupted(result["interrupted"])
    training = result["training"]["mean"] if result["training"] else nan
    return [dict(steps=result["steps"], score=result["evaluation"]["mean"], training=training, wall_s=result["wall_s"])]


def learning_curve(run):
    """Train as `run` says; return a row for each of about LOOKS points from the start to the end: the steps T, the
    seconds of training, the score (mean of the run's periodic_eval_episodes evaluation episodes with the parameters of that
    moment, the same episodes at each), and how many rows are left. The last row of a run that diverges has no score.

    Parameters are only copied while the run lasts, and scored when it is over, so that nothing disturbs its clock.
    """
    agent = untrained(**options_of(run))
    trainer = CopyingTrainer(agent.config, agent.spec, agent.network)
    try:
        trainer.train()
        last = trainer.theta
    except NotFiniteError:
        last = None
    refuse_interrupted(trainer.interrupted)
    points = [(*when, theta) for *when, theta in trainer.copies if np.isfinite(theta).all()]
    points.append((trainer.steps, trainer.seconds, last))
    return [
        dict(steps=steps, seconds=round(seconds, 4), score=score_of(agent, theta), left=len(points) - 1 - i)
        for i, (steps, seconds, theta) in enumerate(points)
    ]


def refuse_interrupted(interrupted):
    """A run that Ctrl-C ended early is not the run that was asked for."""
    if interrupted:
        raise KeyboardInterrupt


def score_of(agent, theta):
    if theta is None:
        return nan
    episodes, seed = agent.config.periodic_eval_episodes, agent.config.seed
    return summary(play_episodes(agent.spec, agent.evaluation_policy(), theta, episodes, seed, PERIODIC_EVAL_STREAM))["mean"]


class CopyingTrainer(Trainer):
    """Copies theta at the start of a run and at each crossing of 1/LOOKS of its actions, before the end.

    copies: (T, seconds, theta) each. Worker 0 makes them, between two calls of the loop, and so at the same T whenever
    workers that take turns repeat a run.
    """

    def __init__(self, config, spec, network):
        super().__init__(config, spec, network)
        self.every = max(config.steps // LOOKS, 1)
        self.crossed = 0
        self.copies = [(0, 0.0, self.theta.copy())]

    def play(self, i, segments):
        """As Trainer's. In turns one segment each, where a worker alone would else get as many as fill some time."""
        more = super().play(i, 1 if self.config.deterministic else segments)
        if i == 0 and self.crossed < self.steps // self.every and self.steps < self.config.steps:
            self.crossed = self.steps // self.every
            self.copies.append((self.steps, self.seconds, self.theta.copy()))
        return more
