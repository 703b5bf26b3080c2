"""One trial, from plain data to plain data. An executor is given `play_trial`."""

import contextlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from numasync.distributed.folder_bytes import read_files
from numasync.distributed.on_node import FOLDER
from numasync.errors import NotFiniteError, WorkerError
from numasync.tools.tuning.desk import DESK, TICKET, AnyDesk, Desk
from numasync.tools.tuning.plan import as_arguments
from numasync.tools.tuning.storage import DIVERGED, FINISHED, PRUNED, explain_database
from numasync.training.display import Silent
from numasync.training.progress import Progress
from numasync.training.records import PREVIOUS_STATE, STATE, RunFolder
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.shipped import with_options
from numasync.training.train import make_agent

# Gets T and the mean of a periodic evaluation, and returns whether the run must end.
OnEvaluation = Callable[[int, float], bool]


class PrunedError(WorkerError):
    """A run was ended, because others with the same steps score higher. The folder of the run keeps this sentence."""


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


def play_trial(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Take one trial of a tuning, play it, and return it as a list with one row, see `TrialRow`.

    task  what to do: `folder` and `settings` of the tuning, `trials`, the number of all its trials, and TICKET, which
          no other task has; on a cluster DESK, who gives out the trials, and FOLDER, where to play

    Returns an empty list where no trial is left. Raises what a run raises, and KeyboardInterrupt if it is interrupted.
    """
    if DESK in task:
        return play_given(task[DESK], task)
    with explain_database(Path(task["folder"])):
        desk = Desk(task["folder"], task["settings"])
        with contextlib.ExitStack() as stack:
            stack.callback(desk.close, task[TICKET])
            return play_given(desk, task)


def play_given(desk: AnyDesk, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Play the trial that a desk gives, and return its row in a list. task: see `play_trial`."""
    ticket = task[TICKET]
    given = desk.claim(ticket, task["trials"])
    if given is None:
        return []
    folder = Path(task.get(FOLDER, given.folder))
    try:
        end, score, progress = play(desk, ticket, given.options, folder)
    except Exception:
        desk.fail(ticket)
        raise
    files = read_files(folder)[0] if FOLDER in task else None
    return [desk.finish(ticket, end, score, progress.steps, progress.seconds, files)]


def play(desk: AnyDesk, ticket: int, options: dict[str, Any], place: Path) -> tuple[str, float | None, Progress]:
    """Play a trial, and return how it has ended, its score, and how far it was.

    desk     what is told of its evaluations
    ticket   under which the desk knows it
    options  of its run
    place    the folder of its run
    """
    every = options["eval_every"]
    agent = make_agent(**as_arguments(options))
    with closing(RunFolder(place, agent.config)) as folder:
        callbacks = with_options([], agent.config, has_folder=True)
        run = PrunableRun(agent, folder, Report(agent.config, folder.checkpoint, Silent()), callbacks=callbacks)
        # The pruner compares trials at the same T. Evaluations come a few steps after a multiple.
        run.on_evaluation = lambda steps, score: desk.report(ticket, steps // every * every, score)
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
    return end, score, run.supervisor.progress()


def remove_states(folder: Path) -> None:
    """Remove the training states of a run, which are as large as several agents: no trial goes on."""
    for name in (STATE, PREVIOUS_STATE):
        with contextlib.suppress(OSError):
            os.unlink(folder / name)
