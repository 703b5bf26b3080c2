"""One trial, from plain data to plain data. An executor is given `play_trial`."""

import contextlib
import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numasync.errors import NotFiniteError, WorkerError
from numasync.tools.tuning.plan import as_arguments
from numasync.tools.tuning.storage import DIVERGED, FINISHED, PRUNED, Storage, explain_database
from numasync.training.display import Silent
from numasync.training.records import PREVIOUS_STATE, STATE, RunFolder
from numasync.training.report import Report
from numasync.training.result import make_result
from numasync.training.run import Run
from numasync.training.shipped import with_options
from numasync.training.train import make_agent

# Gets T and the mean of a periodic evaluation, and returns whether the run must end.
OnEvaluation = Callable[[int, float], bool]


class PrunedError(WorkerError):
    """A run was ended, because others with the same steps score higher. Its result keeps this sentence."""


class PrunableRun(Run):
    """A run that can be ended after a periodic evaluation: PrunedError is raised then.

    on_evaluation  says whether it must end; it is set before `run`
    """

    on_evaluation: OnEvaluation = staticmethod(lambda steps, score: False)

    def _record_periodic_evaluation(
        self, steps: int, seconds: float, theta: np.ndarray, evaluation: dict[str, Any]
    ) -> None:
        super()._record_periodic_evaluation(steps, seconds, theta, evaluation)
        if self.on_evaluation(steps, evaluation["mean"]):
            raise PrunedError(f"The trial was pruned after {steps} steps, because others score higher there.")

    def _write_failure(self, error: Exception) -> None:
        if not isinstance(error, PrunedError):
            super()._write_failure(error)
        elif self.folder:
            result = make_result(self.agent.config, self.supervisor.progress(), None, True, str(error))
            self._write(lambda folder: folder.write_result({**result, PRUNED: True}))


class Outcome(NamedTuple):
    """How a trial has ended.

    end      FINISHED, PRUNED or DIVERGED
    score    the mean of its final evaluation; None where it has none
    steps    T at its end
    seconds  of training
    """

    end: str
    score: float | None
    steps: int
    seconds: float


def play_trial(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Take one trial of a tuning, play it, and return it as a list with one row, see `TrialRow`.

    task  what to do: `folder` and `settings` of the tuning, and `trials`, the number of all its trials

    Returns an empty list where no trial is left. Raises what a run raises, and KeyboardInterrupt if it is interrupted.
    """
    storage = Storage(Path(task["folder"]), task["settings"])
    with explain_database(storage.folder):
        claim = storage.claim(task["trials"])
        if claim is None:
            return []
        with closing(claim):
            try:
                outcome = play(claim.options, claim.folder, partial(storage.report, claim.id))
            except Exception:
                storage.fail(claim)
                raise
            return [storage.finish(claim, *outcome)._asdict()]


def play(options: dict[str, Any], place: Path, on_evaluation: OnEvaluation) -> Outcome:
    """Play a trial, and return how it has ended.

    options        of its run
    place          the folder of its run
    on_evaluation  says whether it must end
    """
    every = options["eval_every"]
    agent = make_agent(**as_arguments(options))
    with closing(RunFolder(place, agent.config)) as folder:
        callbacks = with_options([], agent.config, has_folder=True)
        run = PrunableRun(agent, folder, Report(agent.config, folder.checkpoint, Silent()), callbacks=callbacks)
        # The pruner compares trials at the same T. Evaluations come a few steps after a multiple.
        run.on_evaluation = lambda steps, score: on_evaluation(steps // every * every, score)
        end, score = PRUNED, None
        try:
            result = run.run().result
            assert result
            if result["interrupted"]:
                raise KeyboardInterrupt
            end, score = FINISHED, result["evaluation"]["mean"]
        except PrunedError:
            pass
        except NotFiniteError:
            end = DIVERGED
        remove_states(place)
    progress = run.supervisor.progress()
    return Outcome(end, score, progress.steps, progress.seconds)


def remove_states(folder: Path) -> None:
    """Remove the training states of a run, which are as large as several agents: no trial goes on."""
    for name in (STATE, PREVIOUS_STATE):
        with contextlib.suppress(OSError):
            os.unlink(folder / name)
