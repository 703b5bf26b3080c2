"""A run, from its options to its result."""

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numasync.agent.agent import Agent
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, play_episodes, play_job, summarize
from numasync.config import Config, make_config, validate_options
from numasync.envs import make_env
from numasync.envs.normalization import measure_normalization
from numasync.errors import EvaluationError, InputError, NotFiniteError, WorkerError, failure_of, one_line
from numasync.runtime.checks import as_folder, as_switch
from numasync.runtime.compilation import watch_compilation
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.training.display import Display, Silent
from numasync.training.progress import Progress
from numasync.training.records import CHECKPOINT, RunFolder
from numasync.training.report import Report
from numasync.training.signature import show_options
from numasync.training.supervisor import Supervisor
from numasync.training.terminal_bar import choose_display
from numasync.training.trainer import Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from numasync.config import TrainOptions

# Episodes that wait for a disk with room. The oldest are left out beyond that.
MOST_EPISODES = 100_000


@show_options
def train(
    env: str = Config.env,
    algo: str = Config.algo,
    out: str | os.PathLike | None = None,
    verbose: bool = False,
    **options: "Unpack[TrainOptions]",
) -> Agent:
    """Train an agent and return it.

    env      environment id, see `numasync envs`; 'gymnasium:ID' asks for Gymnasium's version of a jitted environment
    algo     'one_step_q', 'one_step_sarsa', 'nstep_q' or 'a3c'
    out      a new folder for the files of the run; by default nothing is written
    verbose  whether to print progress

    Every other option has a default from the preset of the environment's family, else the paper's value, which stands
    in brackets below. `numasync train --help` also lists what the presets change. A step is one action of one worker,
    on Atari 4 frames. A number of steps counts the steps of all workers, unless its text says otherwise.

    OPTIONS

    Returns the Agent; `agent.result` has the result of the run. The first Ctrl-C during training ends the run early and
    returns the agent as it is, without its final evaluation. A second Ctrl-C, or one during compilation, raises
    KeyboardInterrupt.

    Raises InputError for bad input, and then leaves nothing; WorkerError if a worker or the final evaluation failed;
    NotFiniteError if the run diverged. After a failure the folder keeps the last good checkpoint. Where the folder
    cannot be written, or a periodic evaluation fails, the run goes on with a warning.
    """
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    return train_and_show(display, out, env=env, algo=algo, **options)


def train_and_show(
    display: Display, out: str | os.PathLike | None = None, env: str = Config.env, **options: Any
) -> Agent:
    """Train an agent and return it, as `train` does. display: what shows the progress."""
    out = None if out is None else as_folder("out", out)
    agent = make_agent(env=env, **options)
    folder = None if out is None else RunFolder(out, agent.config)
    report = Report(agent.config, folder.checkpoint if folder else None, display)
    try:
        return Run(agent, folder, report).run()
    except InputError:
        if folder and not folder.checkpoint.exists():
            folder.discard()
        raise
    finally:
        if folder:
            folder.close()


def make_agent(**options: Any) -> Agent:
    """Return the untrained Agent that a run begins with.

    options: fields of Config, env among them. Presets give the others. Raises InputError for bad input.
    """
    given = validate_options(options)
    with closing(make_env(given["env"], flatten=given.get("flatten", False))) as env:
        config = make_config(env.spec.family, **given)
        agent = Agent(config, env.spec)  # refuses options that do not fit, before anything is measured
        if config.normalize:
            spec = env.spec._replace(observation=measure_normalization(env, config.seed))
            agent = Agent(config, spec, agent.theta)
    return agent


class Run:
    """A run of an agent: training, evaluations, files and lines of progress.

    agent   the untrained agent; the run trains it
    folder  where to write; None for nowhere
    report  what to print
    """

    def __init__(self, agent: Agent, folder: RunFolder | None, report: Report) -> None:
        self.agent, self.folder, self.report = agent, folder, report
        self.trainer = Trainer(agent.config, agent.spec, agent.network, agent.theta)
        self.supervisor = Supervisor(self.trainer)
        self.highest: float | None = None
        self.episodes: list[tuple[float, float, float, float]] = []  # that are not yet in a file
        self.troubles: set[str] = set()
        self.unsaved = False  # whether the last checkpoint could not be written
        self.evaluation_error: Exception | None = None
        self.evaluator: BackgroundEvaluator | None = None
        if agent.config.eval_every:
            self.trainer.more_jobs.append(play_job(agent.spec))
            self.evaluator = BackgroundEvaluator(
                agent.config.eval_every,
                self._evaluate_periodically,
                self._record_periodic_evaluation,
                self._say_evaluation_failed,
            )

    def run(self) -> Agent:
        """Train and evaluate the agent, write everything down, and return it. Raises what `Supervisor.run` raises."""
        self.report.print_start()
        try:
            with watch_compilation(self.trainer.kernels, self.report.print_compilation):
                self.supervisor.run(self._progress, self._checkpoint)
            self._write_episodes()
            evaluation = self._evaluate_at_the_end()
        except Exception:
            if self.unsaved:
                self._save()
            raise
        finally:
            if self.evaluator:
                self.evaluator.close()
            self._write_episodes()  # of a run that failed
            self.report.close()
        interrupted = evaluation is None and not self.evaluation_error
        result = make_result(self.agent.config, self.supervisor.progress(), evaluation, interrupted)
        self.agent.result = result
        if self.folder and self._save():
            self._write(lambda folder: folder.write_result(result))
        if self.evaluation_error:
            raise self.evaluation_error
        self.report.print_result(result)
        return self.agent

    def _progress(self, progress: Progress) -> None:
        self.report.print_progress(progress)
        self._write_episodes()
        # A crossing at the end of the run is left to the final evaluation.
        steps = self.trainer.steps
        if self.evaluator and steps < progress.max_steps:
            self.evaluator.poll(steps, self.trainer.clock.seconds, self.trainer.theta)

    def _write_episodes(self) -> None:
        self.episodes += self.trainer.episode_log.take()
        if self.folder and self.episodes and not self._write(lambda folder: folder.add_episodes(self.episodes)):
            del self.episodes[:-MOST_EPISODES]
        else:
            self.episodes.clear()

    def _checkpoint(self, theta: np.ndarray) -> None:
        self.agent.theta = theta.copy()
        if self.folder:
            self.unsaved = not self._write(lambda folder: self.agent.save(folder.checkpoint))
            if not self.unsaved:
                self.report.print_checkpoint(self.trainer.steps)

    def _write(self, write: Callable[[RunFolder], None]) -> bool:
        """Write to the folder, and return whether it was written. A folder that was removed is made again.

        Where it cannot be written, say so once, and let the run go on.
        """
        assert self.folder
        try:
            try:
                write(self.folder)
            except FileNotFoundError:
                self.folder.make_again()
                write(self.folder)
        except OSError as error:
            self._say_once(f"{self.folder.path} cannot be written: {error.strerror or error}; the run goes on.")
            return False
        return True

    def _say_once(self, text: str) -> None:
        if text not in self.troubles:
            self.troubles.add(text)
            self.report.print_trouble(text)

    def _save(self) -> bool:
        """Save the agent in the folder and return true, or where that fails in a temporary folder and return false."""
        if self._write(lambda folder: self.agent.save(folder.checkpoint)):
            return True
        self.report.checkpoint = None
        try:
            path = Path(tempfile.mkdtemp(prefix="numasync-")) / CHECKPOINT
            self.agent.save(path)
            self.report.print_trouble(f"The agent with the last parameters is in {path}.")
        except OSError as error:
            self.report.print_trouble(f"The last parameters cannot be saved: {error.strerror or error}.")
        return False

    def _evaluate_periodically(self, theta: np.ndarray, stop: threading.Event) -> dict[str, Any] | None:
        """Return the scores of a copy of theta, or None if `stop` is set before the end."""
        agent = self.agent
        episodes, seed = agent.config.periodic_eval_episodes, agent.config.seed
        scores = play_episodes(agent.spec, agent.evaluation_policy(), theta, episodes, seed, PERIODIC_EVAL_STREAM, stop)
        return None if stop.is_set() else summarize(scores)

    def _say_evaluation_failed(self, steps: int, error: Exception) -> None:
        """Say that a periodic evaluation has failed, and let the run go on. steps: T of its parameters."""
        known = isinstance(error, (EvaluationError, InputError, NotFiniteError))
        text = one_line(error if known else failure_of("An evaluation", error)).rstrip(".")
        self._say_once(f"{text}; the run goes on without this evaluation.")

    def _record_periodic_evaluation(
        self, steps: int, seconds: float, theta: np.ndarray, evaluation: dict[str, Any]
    ) -> None:
        best = self._record_evaluation(steps, seconds, theta, evaluation)
        self.report.print_periodic_evaluation(steps, evaluation, best)

    def _record_evaluation(self, steps: int, seconds: float, theta: np.ndarray, evaluation: dict[str, Any]) -> bool:
        """Write an evaluation down, and its agent if it is the best so far. Return whether it is.

        steps, seconds, theta  T, the wall time and the parameters that were evaluated
        evaluation             the scores, see `summarize`
        """
        best = self.highest is None or evaluation["mean"] > self.highest
        if best:
            self.highest = evaluation["mean"]
        if self.folder:
            # The parameters come before their score, because the program can be killed between the two.
            if best and self.evaluator:
                agent = Agent(self.agent.config, self.agent.spec, theta)
                agent.result = {"steps": steps, "wall_s": round(seconds, 3), "evaluation": evaluation}
                self._write(lambda folder: agent.save(folder.best))
            self._write(lambda folder: folder.add_evaluation(steps, seconds, evaluation))
        return best

    def _evaluate_at_the_end(self) -> dict[str, Any] | None:
        """Return the scores of the last parameters, or None if there are none.

        There are none if the run or this evaluation was interrupted, or if this evaluation has failed. A failure is
        kept until the agent is saved.
        """
        progress = self.supervisor.progress()
        try:
            self.report.print_end(progress)
            if progress.interrupted:
                return None
            if self.evaluator:
                self.evaluator.finish()
            self.report.print_final_evaluation()
            evaluation = self.agent.evaluate(
                self.agent.config.final_eval_episodes, on_progress=self.report.print_evaluated
            )
        except (KeyboardInterrupt, BrokenPipeError):  # a broken pipe: nobody reads the output any more
            return None
        except (WorkerError, NotFiniteError) as error:
            self.evaluation_error = error
            return None
        except Exception as error:
            text = one_line(error) if isinstance(error, InputError) else failure_of("It", error)
            self.evaluation_error = EvaluationError(f"The final evaluation cannot be played: {text}")
            self.evaluation_error.__cause__ = error
            return None
        self._record_evaluation(progress.steps, progress.seconds, self.agent.theta, evaluation)
        return evaluation


def make_result(
    config: Config, progress: Progress, evaluation: dict[str, Any] | None, interrupted: bool
) -> dict[str, Any]:
    """Return what result.json holds.

    config       the options of the run
    progress     the Progress at its end
    evaluation   the final evaluation; None if the run was interrupted, or the evaluation failed
    interrupted  whether the run or the evaluation was interrupted
    """
    return {
        "algorithm": config.algo,
        "env": config.env,
        "seed": config.seed,
        "workers": config.workers,
        "steps": progress.steps,
        "episodes": progress.episodes,
        "wall_s": round(progress.seconds, 3),
        "steps_per_s": round(progress.steps / progress.seconds, 1),
        "interrupted": interrupted,
        "training": summarize(progress.returns) if progress.returns else None,
        "evaluation": evaluation,
    }
