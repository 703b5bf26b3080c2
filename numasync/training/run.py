"""A run: training, evaluations, files and lines of progress, up to its result."""

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numasync.agent.agent import Agent, load
from numasync.agent.evaluation import PERIODIC_EVAL_STREAM, play_episodes, play_job, summarize
from numasync.errors import EvaluationError, InputError, NotFiniteError, WorkerError, failure_of, one_line
from numasync.runtime import interrupts
from numasync.runtime.compilation import watch_compilation
from numasync.runtime.interrupts import EndedBySignal, save_when_ended
from numasync.runtime.jit import INSTALLED
from numasync.training.background_evaluation import BackgroundEvaluator
from numasync.training.callback_calls import CallbackCalls
from numasync.training.callbacks import Callback, Checkpoint, End, Evaluation, Start, as_evaluations
from numasync.training.engine import choose_engine
from numasync.training.learning import LearningMeter
from numasync.training.progress import Progress
from numasync.training.records import CHECKPOINT, RunFolder, resume_command
from numasync.training.report import Report
from numasync.training.result import make_result
from numasync.training.schedule import Schedule
from numasync.training.state import PENDING, TrainingState, write_state

# Episodes that wait for a disk with room. The oldest are left out beyond that.
MOST_EPISODES = 100_000


class Run:
    """A run of an agent: training, evaluations, files and lines of progress.

    agent     the agent that the run trains
    folder    where to write; None for nowhere
    report    what to print
    state     the training state to go on from; None to begin
    schedule  how the learning rate falls; by default to 0 over the run
    callbacks what follows the run
    before    what result.json had, of a run that goes on; None where it was killed, or begins
    """

    def __init__(
        self,
        agent: Agent,
        folder: RunFolder | None,
        report: Report,
        state: TrainingState | None = None,
        schedule: Schedule | None = None,
        callbacks: Sequence[Callback] = (),
        before: dict[str, Any] | None = None,
    ) -> None:
        self.agent, self.folder, self.report, self.before = agent, folder, report, before
        self.supervisor = choose_engine(agent)(agent, state, schedule)
        self.trainer = self.supervisor.trainer
        if callbacks:
            self.trainer.measure_outputs()
        self.supervisor.on_trouble = self._say_once
        self.supervisor.keeps_state = folder is not None
        self.supervisor.on_restore = lambda: report.print_stage("restoring")
        self.calls = CallbackCalls(callbacks, LearningMeter(self.trainer).read, self.supervisor.stop)
        self.highest = state.numbers.best if state else None
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
            self._restore_evaluations(state)

    def _restore_evaluations(self, state: TrainingState | None) -> None:
        """Go on with the evaluations where a state has left them."""
        assert self.evaluator
        if self.agent.config.deterministic:
            # Otherwise a run would be evaluated where it is by chance when somebody looks.
            self.supervisor.pause_at = self._evaluation_is_due
        if state:
            self.evaluator.every.multiples = state.numbers.evaluations
            if state.numbers.pending:
                self.evaluator.waiting = (*state.numbers.pending, state.arrays[PENDING])
            self._restore_best()

    def _evaluation_is_due(self, steps: int) -> bool:
        """Return whether a deterministic run must be evaluated at T = steps. Its end has the final evaluation."""
        return self.evaluator is not None and steps < self.agent.config.steps and self.evaluator.every.is_due(steps)

    def _restore_best(self) -> None:
        """Take the score of the best agent. It may be newer than the state, and is kept unless another is better."""
        try:
            assert self.folder
            result = load(self.folder.best).result
        except InputError:  # there is none, or it is damaged
            return
        if result and result["evaluation"]:
            mean = result["evaluation"]["mean"]
            self.report.best = mean, result["steps"]
            self.highest = mean if self.highest is None else max(mean, self.highest)

    def run(self) -> Agent:
        """Train and evaluate the agent, write everything down, and return it. Raises what `Supervisor.run` raises.

        SIGTERM and SIGHUP end the run as Ctrl-C does, and then the program: EndedBySignal is raised.
        """
        with save_when_ended():
            return self._run()

    def _run(self) -> Agent:
        self.report.print_start(self.supervisor.state.steps if self.supervisor.state else 0)
        if not INSTALLED:
            self.report.print_trouble("Numba is not installed, so training takes a hundred times as long or longer.")
        try:
            self._start_callbacks()
            with watch_compilation(self.trainer.kernels, self.report.print_compilation):
                self.supervisor.run(self._progress, self._checkpoint, self._pause)
            self._write_episodes()
            self._deliver_last()
            evaluation = self._evaluate_at_the_end()
        except Exception as error:
            if self.unsaved:
                self._save()
            self._write_failure(error)
            self._take_episodes()
            self.calls.end(End(self.agent, None, error))
            raise
        finally:
            if self.evaluator:
                self.evaluator.close()
            self._write_episodes()  # of a run that failed
            self.report.close()
        interrupted = evaluation is None and not self.evaluation_error
        result = make_result(self.agent.config, self.supervisor.progress(), evaluation, interrupted, self.stopped_by)
        self.agent.result = result = {**result, **self.supervisor.measured}
        saved = self.folder is not None and self._save()
        if saved:
            # The state has the line of the final evaluation now, for a run that goes on for more steps.
            self._write(lambda folder: folder.write_result(result))
            self._write(self._write_state)
        if not self.evaluation_error:
            self.report.print_result(result)
        self.calls.end(End(self.agent, None if self.evaluation_error else result, self.evaluation_error))
        failure = self.evaluation_error or self.calls.error
        if failure:
            self._write_failure(failure)
            raise failure
        if interrupted and saved and self.folder:
            self.report.print_stopped(resume_command(self.folder.path))
            interrupts.last_words = None  # they are said
        if self.supervisor.ended_by:
            self.supervisor.ended_by.said = interrupted and saved
            raise self.supervisor.ended_by
        return self.agent

    @property
    def stopped_by(self) -> str | None:
        """The callback that has stopped the run before its last step, and why."""
        return self.calls.stopped_by if self.trainer.steps < self.agent.config.steps else None

    def _start_callbacks(self) -> None:
        """Call on_start. Where only the final evaluation of a run that was stopped is missing, it alone is played."""
        state, before = self.supervisor.state, self.before or {}
        missing = before.get("evaluation") is None
        evaluations = as_evaluations(self.folder.evaluations()) if state and self.folder and missing else []
        if evaluations and self.evaluator and self.agent.config.deterministic and not self.evaluator.waiting:
            self.calls.hold(evaluations.pop())
        if missing and before.get("stopped_by"):
            self.calls.stopped_by = before["stopped_by"]
            self.supervisor.stop()
        made = (state.steps, state.numbers.seconds) if state else (0, 0.0)
        self.calls.start(Start(self.agent.config, self.folder.path if self.folder else None, *made, evaluations))
        if self.calls.error:
            raise self.calls.error

    def _deliver_last(self) -> None:
        """Call the callbacks at the end of the training. Ctrl-C then leaves out the final evaluation."""
        try:
            progress = self.supervisor.progress()
            if not progress.interrupted:  # otherwise what is held waits for the run to go on
                self.calls.release()
            self.calls.deliver(progress, last=True)
        except EndedBySignal as signal:
            self.supervisor.interrupted, self.supervisor.ended_by = True, signal
        except (KeyboardInterrupt, BrokenPipeError):
            self.supervisor.interrupted = True
        if self.calls.error:
            raise self.calls.error

    def _progress(self, progress: Progress) -> None:
        self.report.print_progress(progress)
        self._write_episodes()
        self.calls.deliver(progress)
        # A crossing at the end of the run is left to the final evaluation.
        steps = self.trainer.steps
        if self.evaluator and steps < progress.max_steps:
            if self.agent.config.deterministic:  # `_pause` begins evaluations
                self.evaluator.collect()
            else:
                self.evaluator.poll(steps, self.trainer.clock.seconds, self.trainer.theta)

    def _pause(self) -> None:
        """Take the episodes so far, and in deterministic mode begin an evaluation that is due. No worker plays now."""
        if self.supervisor.anew:
            env, reason = self.agent.config.env, "because their environment cannot be saved in the middle of one"
            self._say_once(f"The episodes of {env} that were under way begin anew, {reason}.")
        self._take_episodes()
        going_on = not (self.supervisor.stopped or self.supervisor.interrupted)
        due = self.agent.config.deterministic and self._evaluation_is_due(self.trainer.steps)
        if self.evaluator and due and going_on:
            self.evaluator.finish()
            self.calls.release()
            self.calls.deliver(self.trainer.progress())
            if not self.supervisor.stopped:
                self.evaluator.poll(self.trainer.steps, self.trainer.clock.seconds, self.trainer.theta)

    def _take_episodes(self) -> None:
        """Take the episodes that have ended, for the file and for the callbacks."""
        episodes = self.trainer.episode_log.take()
        self.episodes += episodes
        self.calls.add_episodes(episodes)

    def _write_episodes(self) -> None:
        self._take_episodes()
        self._write_waiting_episodes()

    def _write_waiting_episodes(self) -> None:
        if self.folder and self.episodes and not self._write(lambda folder: folder.add_episodes(self.episodes)):
            del self.episodes[:-MOST_EPISODES]
        else:
            self.episodes.clear()

    def _checkpoint(self, theta: np.ndarray) -> None:
        self.agent.theta = theta.copy()
        if self.folder:
            self._write_waiting_episodes()
            self.unsaved = not self._write(self._write_checkpoint)
            if not self.unsaved:
                self.report.print_checkpoint(self.trainer.steps)
                state = self.supervisor.state
                self.calls.add(Checkpoint(self.folder.checkpoint, state.steps if state else self.trainer.steps))

    def _write_checkpoint(self, folder: RunFolder) -> None:
        """Write the agent and the training state. Raises OSError."""
        self.agent.save(folder.checkpoint)
        keep = self.agent.config.keep_checkpoints
        if keep:
            self.agent.save(folder.kept_checkpoint(self.trainer.steps))
            folder.remove_kept(keep)
        self._write_state(folder)

    def _write_state(self, folder: RunFolder) -> None:
        """Write the last training state, with what the files of the folder hold now. Raises OSError."""
        state = self.supervisor.state
        if state is None or not self.supervisor.keeps_state:  # a run that has failed keeps its last state
            return
        monitor_bytes, evaluations_bytes = folder.sizes
        pending = self.evaluator.pending if self.evaluator else None
        numbers = state.numbers._replace(
            monitor_bytes=monitor_bytes,
            evaluations_bytes=evaluations_bytes,
            evaluations=self.evaluator.every.multiples if self.evaluator else 0,
            best=self.highest,
            pending=pending and pending[:2],
        )
        state = state._replace(numbers=numbers)
        write_state(folder.state, folder.previous_state, self.agent, state, pending and pending[2])

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

    def _write_failure(self, error: Exception) -> None:
        """Write down why the run failed. Where bad input is found before it begins, its folder does not stay."""
        if self.folder and not (isinstance(error, InputError) and not self.folder.checkpoint.exists()):
            known = isinstance(error, (WorkerError, InputError, NotFiniteError))
            text, steps = one_line(error if known else failure_of("The run", error)), self.supervisor.progress().steps
            self._write(lambda folder: folder.write_failure(text, steps))

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
        keep = self.calls.hold if self.agent.config.deterministic else self.calls.add
        keep(Evaluation(steps, seconds, evaluation, best))

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
            self.report.print_end(progress, self.stopped_by)
            if progress.interrupted:
                return None
            if self.evaluator:
                self.evaluator.finish()
                self.calls.release()
            self.report.print_final_evaluation()
            episodes = self.agent.config.final_eval_episodes
            evaluation = self.agent.evaluate(episodes, on_progress=self.report.print_evaluated)
        except EndedBySignal as signal:
            self.supervisor.ended_by = signal
            return None
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
        best = self._record_evaluation(progress.steps, progress.seconds, self.agent.theta, evaluation)
        self.calls.add(Evaluation(progress.steps, progress.seconds, evaluation, best, final=True))
        return evaluation
