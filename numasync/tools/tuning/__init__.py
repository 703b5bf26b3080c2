"""`numasync tune`: a search for the options of an algorithm, with Optuna.

A tuning is its settings. `space.py` says what is searched, and `plan.py` makes the settings. `trial.py` plays one
trial, in a process. `far_trials.py` plays trials on a cluster. `storage.py` keeps the trials, so that a tuning goes on
after a stop.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from numasync.agent.environment import env_options_of
from numasync.config import Config
from numasync.distributed.pool import RayPool
from numasync.runtime.checks import as_folder, as_switch, as_whole_number
from numasync.runtime.files import write_json
from numasync.runtime.machine import made_by
from numasync.tools.places import Place, choose_place, open_place
from numasync.tools.studies.execution import RunExecutor, play_waves
from numasync.tools.studies.table import write_table
from numasync.tools.tuning.far_trials import play_on_cluster
from numasync.tools.tuning.plan import MOST_TRIALS, as_arguments, default_folder, make_settings, open_folder
from numasync.tools.tuning.report import TuningReport
from numasync.tools.tuning.storage import Storage, TrialRow, best_of, explain_database, import_optuna
from numasync.tools.tuning.trial import play_trial
from numasync.training.display import Silent
from numasync.training.records import MADE_BY
from numasync.training.terminal_bar import choose_display

BEST, TABLE = "best.json", "trials.csv"
TRIALS = 50


class Tuning(NamedTuple):
    """A finished tuning.

    folder  the folder with its files
    best    the options of the best trial, as `train(**best)` takes them; None where no trial has finished
    score   the score of the best trial; None where no trial has finished
    trials  the trials that have ended, a dict each: number, end, score, steps, wall_s, options
    """

    folder: Path
    best: dict[str, Any] | None
    score: float | None
    trials: list[dict[str, Any]]


def tune(
    env: str = Config.env,
    algo: str = Config.algo,
    trials: int = TRIALS,
    jobs: int | None = None,
    out: str | os.PathLike | None = None,
    executor: RunExecutor | None = None,
    verbose: bool = False,
    ray: str | None = None,
    cores_per_run: int | None = None,
    retries: int | None = None,
    **options: Any,
) -> Tuning:
    """Search the options of an algorithm on an environment with Optuna, and return the Tuning.

    env       environment id, see `numasync envs`
    algo      the algorithm
    trials    how many trials, with the trials of earlier calls
    jobs      how many trials to play at once, each in a process; by default the number of cores
    out       the folder; by default tunings/ENV-ALGO; a tuning that was stopped in this folder goes on, and several
              programs can work on it at once
    executor  plays the trials instead of processes; it has the `submit` of concurrent.futures.Executor, and its
              processes see the folder
    verbose   whether to print progress
    ray       the address of a cluster of Ray that plays the trials, see `study`
    cores_per_run  the cores that each trial has for itself on the cluster; by default 1
    retries   how often a trial is played again whose node dies; by default 3

    Every option of `train` is a keyword too, and is then fixed. Two have another default: deterministic is true, so
    that a trial repeats exactly, and seed is 1000. Trial number i trains with seed + i. Results are for other seeds:
    options look better on the seed that they were chosen on.

    A trial is a run. Its score is the mean of its final evaluation. A trial is pruned where its best
    periodic evaluation so far is below the median of the other trials at the same steps. A run that diverges is a trial
    without a score.

    Raises InputError for bad input and where Optuna is missing, before anything is written; WorkerError if a trial
    failed. After a failure, and after Ctrl-C, the folder keeps the trials that have ended.
    """
    settings = make_settings(env, algo, **options)
    trials = as_whole_number("trials", trials, 1, MOST_TRIALS)
    place = choose_place(jobs, executor, ray, cores_per_run, retries)
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    import_optuna()
    path = default_folder(settings) if out is None else as_folder("out", out)
    with open_folder(path, settings) as folder, explain_database(folder):
        storage = Storage(folder, settings)
        report = TuningReport(settings, folder, display)
        play_missing_trials(storage, trials, place, report)
        report.print_end(write_results(storage))
        rows = storage.rows()
    best = best_of(rows)
    found = None if best is None else as_arguments(best.options)
    return Tuning(folder, found, best and best.score, [row._asdict() for row in rows])


def play_missing_trials(storage: Storage, trials: int, place: Place, report: TuningReport) -> None:
    """Play trials until all have ended, or others play the last ones.

    storage  the trials that have ended
    trials   how many there shall be
    place    where they are played
    report   what to print
    """
    ended = storage.rows()
    report.print_start(trials, ended)
    left = trials - len(ended)
    if left <= 0:
        return
    with open_place(place, left, report, [env_options_of(storage.settings["fixed"])]) as pool:
        if isinstance(pool, RayPool):
            playing = play_on_cluster(pool, storage, trials, left)
        else:
            playing = play_in_processes(pool, storage, trials, left)
        try:
            with closing(playing) as rows:
                for row in rows:
                    report.add_trial(row)
                    write_results(storage)
        except KeyboardInterrupt:
            report.print_stopped()
            raise


def play_in_processes(pool: RunExecutor, storage: Storage, trials: int, left: int) -> Generator[TrialRow, None, None]:
    """Play trials in processes that see the folder, and yield each one that has ended.

    pool     the processes
    storage  the trials that have ended
    trials   how many there shall be
    left     how many are missing
    """
    task = {"folder": str(storage.folder), "settings": storage.settings, "trials": trials}
    with closing(play_waves([[task] * left], play_trial, pool)) as played:
        for _, rows in played:
            yield from (TrialRow(**row) for row in rows)


def write_results(storage: Storage) -> Path | None:
    """Write the table of the trials, and the options of the best one. Return the path of the options, or None."""
    rows = storage.rows()
    write_table(storage.folder / TABLE, columns_of(storage.settings), map(flatten, rows))
    best = best_of(rows)
    if best is None:
        return None
    about = {**made_by(), "trial": best.number, "score": best.score}
    write_json(storage.folder / BEST, {**best.options, MADE_BY: about})
    return storage.folder / BEST


def columns_of(settings: Mapping[str, Any]) -> dict[str, type]:
    """Return the columns of the table, and their types."""
    own = {"number": int, "end": str, "score": float, "steps": int, "wall_s": float, "seed": int}
    return own | dict.fromkeys(settings["space"], float)


def flatten(row: TrialRow) -> dict[str, Any]:
    """Return a trial as a row of the table."""
    return row.options | row._asdict()
