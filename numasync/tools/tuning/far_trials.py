"""The trials of a tuning on a cluster of Ray: a node plays a trial, and the program of the tuning has the database.

The program takes a trial when a node has room for it, and writes down how it has ended. So a trial whose node dies is
taken again by the program, and a trial whose program dies by the next program. A trial asks after each evaluation
whether it is pruned. A referee answers, an actor of Ray beside the database.
"""

import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from numasync.distributed.nodes import on_node
from numasync.distributed.on_node import FOLDER, Rows, Run
from numasync.distributed.pool import RayPool
from numasync.tools.studies.execution import play_waves
from numasync.tools.tuning.storage import Claim, Storage, TrialRow
from numasync.tools.tuning.trial import Outcome, play, remove_states

# What a task has: its number, and from when it begins the options of its trial, the trial, and whom it asks.
TASK, OPTIONS, ID, REFEREE = "task", "options", "id", "referee"
# The key of a row that holds what a trial has raised.
ERROR = "error"


def play_on_cluster(pool: RayPool, storage: Storage, trials: int, left: int) -> Generator[TrialRow, None, None]:
    """Play trials on a cluster, and yield each one that has ended.

    pool     the cluster
    storage  the trials that have ended
    trials   how many there shall be
    left     how many are missing

    Raises what a trial raises, and WorkerError where one was lost too often.
    """
    with closing(Desk(storage, trials, start_referee(pool, storage))) as desk:
        pool.prepare = desk.give
        tasks = [{TASK: number} for number in range(left)]
        with closing(play_waves([tasks], play_far_trial, pool)) as played:
            for task, rows in played:
                for row in rows:
                    yield desk.finish(task[TASK], row)


class Desk:
    """Gives trials to tasks that begin, and writes down how they have ended.

    storage  the trials of the tuning
    trials   how many there shall be
    referee  Ray's handle of who says whether a trial is pruned
    """

    def __init__(self, storage: Storage, trials: int, referee: Any) -> None:
        self.storage, self.trials, self.referee = storage, trials, referee
        self._claims: dict[int, Claim] = {}
        self._closed, self._lock = False, threading.Lock()

    def give(self, task: Run) -> Run | None:
        """Return a task with a trial to play; None where none is left.

        A task that begins once more has lost its trial with its node. The trial is played again, with the same options
        and the same seed.
        """
        with self._lock:
            lost = self._claims.pop(task[TASK], None)
            if lost:
                lost.close()
                remove_states(lost.folder)
            claim = None if self._closed else self.storage.claim(self.trials)
            if claim is None:
                return None
            self._claims[task[TASK]] = claim
        given = {OPTIONS: claim.options, ID: claim.id, REFEREE: self.referee, FOLDER: str(claim.folder)}
        return {TASK: task[TASK], **given}

    def finish(self, number: int, row: dict[str, Any]) -> TrialRow:
        """Write down how the trial of a task has ended, and return it. Raises what the trial has raised.

        number  of the task
        row     what `play_far_trial` has returned
        """
        with self._lock:
            claim = self._claims.pop(number)
        with closing(claim):
            if ERROR in row:
                self.storage.fail(claim)
                raise row[ERROR]
            remove_states(claim.folder)  # one may have come home before
            return self.storage.finish(claim, *Outcome(**row))

    def close(self) -> None:
        """Give no more trials, and let go of the ones that have not ended. They are played again another time."""
        with self._lock:
            self._closed = True
            for claim in self._claims.values():
                claim.close()
            self._claims.clear()


class Referee:
    """Writes down evaluations, and says which trials are pruned. An actor of Ray, on the machine of the database.

    folder, settings  of the tuning
    """

    def __init__(self, folder: str, settings: dict[str, Any]) -> None:
        self.storage = Storage(Path(folder), settings)

    def report(self, id: int, steps: int, score: float) -> bool:
        """Return whether a trial must be pruned, see `Storage.report`."""
        return self.storage.report(id, steps, score)


def start_referee(pool: RayPool, storage: Storage) -> Any:
    """Start a Referee on this machine that all nodes can ask, and return Ray's handle of it. It ends with the program.

    A referee that dies is started again, and what it was asked is asked again.
    """
    ray = pool.ray
    here = on_node(ray, ray.get_runtime_context().get_node_id())
    options = dict(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return ray.remote(**options)(Referee).remote(str(storage.folder.absolute()), dict(storage.settings))


def play_far_trial(task: Run) -> Rows:
    """Play a trial on a node. Return how it has ended, or what it has raised, as a list with one row.

    task  see `Desk.give`
    """

    def ask(steps: int, score: float) -> bool:
        from ray import get

        return get(task[REFEREE].report.remote(task[ID], steps, score))

    try:
        return [play(task[OPTIONS], Path(task[FOLDER]), ask)._asdict()]
    except Exception as error:
        return [{ERROR: error}]
