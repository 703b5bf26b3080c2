"""One run of a study, from plain data to plain data. An executor is given these functions and a run."""

from math import nan
from typing import Any

import numpy as np

from numasync.agent.agent import Agent
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, play_episodes, summarize
from numasync.config import Config
from numasync.distributed.on_node import FOLDER
from numasync.envs.spec import EnvSpec
from numasync.errors import NotFiniteError
from numasync.nn.network import Network
from numasync.tools.studies.plan import options_of
from numasync.training.in_folder import finish_run
from numasync.training.schedule import Every
from numasync.training.supervisor import Supervisor
from numasync.training.train import make_agent, train
from numasync.training.trainer import Trainer

# How many times the parameters of a run are copied, between its start and its end, to draw a curve.
LOOKS = 25


# A run on a cluster keeps a training state as often, to go on from where its node dies.
STATE_MINUTES = 0.25


def final_score(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Train as a run says, see `plan.runs_of`, and return its one row of the table, see `score_run`."""
    return [score_run(options_of(run), run.get(FOLDER))]


def score_run(options: dict[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Train and return a row: the steps T, the score, the training return, and the seconds.

    The score is the mean of the final evaluation, `training` the mean return of the last 100 training episodes, and
    wall_s the seconds of training alone. All four are nan if the run diverges. Raises KeyboardInterrupt if the run is
    interrupted.

    options  of `numasync.train`
    folder   where the run is, and goes on if it has begun; None for a run without a folder
    """
    try:
        if folder is None:
            result = train(**options).result or {}
            check_not_interrupted(result["interrupted"])
        else:
            result = finish_run(folder, **{"checkpoint_minutes": STATE_MINUTES, **options})
    except NotFiniteError:
        return dict.fromkeys(("steps", "score", "training", "wall_s"), nan)
    training = result["training"]["mean"] if result["training"] else nan
    return dict(steps=result["steps"], score=result["evaluation"]["mean"], training=training, wall_s=result["wall_s"])


def learning_curve(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Train as a run says, see `plan.runs_of`, and return a row of the table for each point of its curve.

    There are about LOOKS points between the start and the end, and one at each of them. A row has the steps T, the
    seconds of training, the score of the parameters at that moment (mean of the same periodic_eval_episodes episodes at
    each point), and how many rows are left. The last score is nan if the run diverges. Raises KeyboardInterrupt if the
    run is interrupted.

    Parameters are only copied while the run lasts. They are scored when it is over, so that nothing disturbs its clock.
    """
    agent = make_agent(**options_of(run))
    trainer = CopyingTrainer(agent.config, agent.spec, agent.network, agent.theta)
    supervisor = Supervisor(trainer)
    last: np.ndarray | None
    try:
        supervisor.run()
        last = trainer.theta
    except NotFiniteError:
        last = None
    check_not_interrupted(supervisor.interrupted)
    copies = [copy for copy in trainer.copies if np.isfinite(copy[2]).all()]
    points = [*copies, (trainer.steps, trainer.clock.seconds, last)]
    return [
        dict(steps=steps, seconds=round(seconds, 4), score=score_of(agent, theta), left=len(points) - 1 - i)
        for i, (steps, seconds, theta) in enumerate(points)
    ]


def check_not_interrupted(interrupted: bool) -> None:
    """Raise KeyboardInterrupt if Ctrl-C has ended a run early: its result is not the result of the whole run."""
    if interrupted:
        raise KeyboardInterrupt


def score_of(agent: Agent, theta: np.ndarray | None) -> float:
    """Return the mean score of an agent with the parameters theta, or nan for None."""
    if theta is None:
        return nan
    episodes, seed = agent.config.periodic_eval_episodes, agent.config.seed
    scores = play_episodes(agent.spec, agent.evaluation_policy(), theta, episodes, seed, PERIODIC_EVAL_STREAM)
    return summarize(scores)["mean"]


class CopyingTrainer(Trainer):
    """A Trainer that copies theta at the start of the run and at each crossing of 1/LOOKS of its steps.

    Worker 0 makes the copies, between two calls of the loop. So a run whose workers take turns makes them at the same
    steps whenever it is repeated.

    copies  (T, seconds, theta) of each copy
    """

    def __init__(self, config: Config, spec: EnvSpec, network: Network, theta: np.ndarray | None = None) -> None:
        super().__init__(config, spec, network, theta)
        self.every = Every(max(config.steps // LOOKS, 1))
        self.copies = [(0, 0.0, self.theta.copy())]

    def run_segments_of(self, i: int, segments: int) -> bool:
        """Let worker i play and learn, see `Trainer.run_segments_of`, and copy theta if it is due.

        In deterministic mode a call plays one segment. A single worker would otherwise play many in one call.
        """
        more = super().run_segments_of(i, 1 if self.config.deterministic else segments)
        steps = self.steps
        if i == 0 and steps < self.config.steps and self.every.crossed(steps):
            self.copies.append((steps, self.clock.seconds, self.theta.copy()))
        return more
