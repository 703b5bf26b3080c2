"""A run from its options to its result: the agent, its trainer, the folder and the report, and the evaluations beside
it."""

from contextlib import closing

from numasync.agent.agent import Agent
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, compile_play, play_episodes, summary
from numasync.config import checked, make_config
from numasync.envs import make_env
from numasync.envs.normalization import normalized
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.training.records import RunFolder
from numasync.training.report import Report
from numasync.training.trainer import Trainer


def train(env="CartPole-v1", algo="nstep_q", out=None, verbose=False, **options):
    """Train an agent and return it; the record of the run is in `agent.result`.

    env: an environment id. algo: one_step_q, one_step_sarsa, nstep_q or a3c. options: the fields of `Config`, such as
    steps, workers, seed, lr; what is not given comes from the preset of the environment's family. out: a new folder
    for the records of the run, see `records.py`. verbose: print progress.

    A first Ctrl-C while the workers play ends the run early and returns the agent as it stands, without its
    evaluation; a second one, and one while the loop is compiled, is a KeyboardInterrupt. Raises InputError for bad input,
    WorkerError if a worker failed, NotFiniteError if the run diverged.
    """
    agent = untrained(env=env, algo=algo, **options)
    folder = RunFolder(out, agent.config) if out else None
    report = Report(agent.config, folder and folder.checkpoint) if verbose else Report.silent()
    return Training(agent, folder, report).run()


def untrained(**options):
    """The Agent that a run of these options begins with: fields of `Config`, and presets for what is not given."""
    given = checked(options)
    with closing(make_env(given["env"], flatten=given.get("flatten", False))) as env:
        config = make_config(env.spec.family, **given)
        agent = Agent(config, env.spec)
        if config.normalize:
            agent.spec = agent.spec._replace(observation=normalized(env, config.seed))
    return agent


class Training:
    """What happens around a Trainer while it runs. folder: a RunFolder, or None where nothing is written."""

    def __init__(self, agent, folder, report):
        self.agent, self.folder, self.report = agent, folder, report
        self.trainer = Trainer(agent.config, agent.spec, agent.network)
        self.highest = None
        every = agent.config.eval_every
        self.background = BackgroundEvaluator(every, self._evaluate_beside, self._scored_beside) if every else None
        if self.background:
            compile_play(agent.network.table, agent.spec)

    def run(self):
        """Train, evaluate, write everything down; return the agent."""
        self.report.started()
        try:
            self.trainer.train(self._progress, self._checkpoint)
            self._write_episodes()
            score = self._evaluate_at_the_end()
        finally:
            if self.background:
                self.background.close()
            self._write_episodes()  # of a run that failed
        self.agent.result = run_result(self.agent.config, self.trainer, score)
        if self.folder:
            self.agent.save(self.folder.checkpoint)
            self.folder.write_result(self.agent.result)
        self.report.evaluated(self.agent.result)
        return self.agent

    def _progress(self, trainer):
        self.report.progress(trainer)
        self._write_episodes()
        # What the end of the run has reached is left to the evaluation there.
        if self.background and trainer.steps < trainer.config.steps:
            self.background.look(trainer)

    def _write_episodes(self):
        episodes = self.trainer.take_episodes()
        if self.folder and episodes:
            self.folder.add_episodes(episodes)

    def _checkpoint(self, trainer):
        self.agent.theta = trainer.snapshot.copy()
        if self.folder:
            self.agent.save(self.folder.checkpoint)

    def _evaluate_beside(self, theta, stop):
        """The score of a copy of theta, or None where it was not played to the end."""
        agent = self.agent
        episodes, seed = agent.config.periodic_eval_episodes, agent.config.seed
        scores = play_episodes(agent.spec, agent.evaluation_policy(), theta, episodes, seed, PERIODIC_EVAL_STREAM, stop)
        return None if stop.is_set() else summary(scores)

    def _scored_beside(self, steps, seconds, theta, score):
        best = self._record_score(steps, seconds, theta, score)
        self.report.scored_beside(steps, score, best)

    def _record_score(self, steps, seconds, theta, score):
        """Write the score of theta down, and theta itself if none before scored as high; true in that case."""
        best = self.highest is None or score["mean"] > self.highest
        if best:
            self.highest = score["mean"]
        if self.folder:
            self.folder.add_evaluation(steps, seconds, score)
            if best and self.background:
                agent = Agent(self.agent.config, self.agent.spec, theta)
                agent.result = {"steps": steps, "wall_s": round(seconds, 3), "evaluation": score}
                agent.save(self.folder.best)
        return best

    def _evaluate_at_the_end(self):
        """The score of the last parameters, or None if the run or its evaluation was interrupted."""
        trainer = self.trainer
        try:
            self.report.ended(trainer)
            if trainer.interrupted:
                return None
            if self.background:
                self.background.finish()
            self.report.evaluating()
            score = self.agent.evaluate(self.agent.config.final_eval_episodes)
        except (KeyboardInterrupt, BrokenPipeError):  # the reader of our output has gone
            return None
        self._record_score(trainer.steps, trainer.seconds, self.agent.theta, score)
        return score


def run_result(config, trainer, evaluation):
    """What result.json holds; evaluation is None where the run was interrupted."""
    return {
        "algorithm": config.algo,
        "env": config.env,
        "seed": config.seed,
        "workers": config.workers,
        "steps": trainer.steps,
        "episodes": trainer.episodes,
        "wall_s": round(trainer.seconds, 3),
        "steps_per_s": round(trainer.steps / trainer.seconds, 1),
        "interrupted": evaluation is None,
        "training": summary(trainer.returns) if trainer.returns else None,
        "evaluation": evaluation,
    }
