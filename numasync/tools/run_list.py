"""The runs in a folder: where each is, what it trains, how far it is, and how well it plays."""

import fnmatch
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numasync.agent.description import parse_result
from numasync.agent.other_names import OTHER_NAMES
from numasync.algorithms import ALGORITHMS
from numasync.config import Config, validate_options
from numasync.errors import InputError, warn_of
from numasync.runtime.checks import as_folder, as_number, as_whole_number, check_choice
from numasync.runtime.files import is_locked
from numasync.training.progress import RECENT_EPISODES
from numasync.training.records import CONFIG, FAILURE, MONITOR, RunRecord, read_run

# How a run stands. A pruned one is a trial that its tuning has ended early. The records of a damaged one cannot be
# read. Where a system has no locks of files, a run without a result is unknown: it goes on, or it was killed.
STATES = ("running", "finished", "stopped", "pruned", "failed", "killed", "damaged", "unknown")

# Runs lie at most this number of folders below the folder that is searched.
DEEPEST = 4

# Of a monitor.csv this number of bytes is read. The last 100 episodes take less.
MONITOR_BYTES = 4096

# A time after the year 2200 is no time of a run.
LATEST = 7.3e9


class RunRow(NamedTuple):
    """A run in the list. What is not known is None.

    folder       its path
    algorithm    its name
    environment  its id
    seed         of the run
    state        one of STATES
    steps        T, the steps over all workers so far
    planned      the steps of the whole run
    score        a mean return
    score_of     what the score is the mean of: 'final' (evaluation), 'best' (of the periodic evaluations), or
                 'last 100' (training episodes; a young run has fewer)
    seconds      wall time since the workers started
    started      when the workers started, else when the folder was made
    trouble      why it failed, or what is damaged: one sentence
    stopped_by   the callback that has stopped it before its last step, and why; why it was pruned
    """

    folder: str
    algorithm: str | None
    environment: str | None
    seed: int | None
    state: str
    steps: int | None
    planned: int | None
    score: float | None
    score_of: str | None
    seconds: float | None
    started: datetime | None
    trouble: str | None
    stopped_by: str | None = None


# What a column is sorted by.
COLUMNS: dict[str, Callable[[RunRow], Any]] = {
    "folder": lambda row: row.folder,
    "started": lambda row: row.started,
    "algorithm": lambda row: row.algorithm,
    "environment": lambda row: row.environment,
    "seed": lambda row: row.seed,
    "state": lambda row: STATES.index(row.state),
    "steps": lambda row: row.steps,
    "score": lambda row: row.score,
    "time": lambda row: row.seconds,
}


def list_runs(
    folders: Iterable[str | os.PathLike],
    envs: Collection[str] = (),
    algos: Collection[str] = (),
    states: Collection[str] = (),
) -> list[RunRow]:
    """Return a row for each run in the folders, in the order of their paths. A folder can be a run itself.

    folders  where to look, and in the folders below
    envs     patterns of a shell; only runs on an environment that fits one are listed
    algos    names of algorithms; only these are listed
    states   names of STATES; only these are listed

    An empty collection lists all. Raises InputError where there is no such folder, algorithm or state. Warns of a
    folder that cannot be read.
    """
    for algo in algos:
        check_choice(algo, tuple(ALGORITHMS), "no algorithm", OTHER_NAMES["algo"])
    for state in states:
        check_choice(state, STATES, "no state of a run")
    rows = map(read_row, find_runs(folders))
    return [
        row
        for row in rows
        if (not envs or any(fnmatch.fnmatchcase(row.environment or "", pattern) for pattern in envs))
        and (not algos or row.algorithm in algos)
        and (not states or row.state in states)
    ]


def sort_rows(rows: Iterable[RunRow], column: str, descending: bool = False) -> list[RunRow]:
    """Return rows in the order of a column, one of COLUMNS. Rows without a value come last in both directions."""
    check_choice(column, tuple(COLUMNS), "no column of the list")
    key, rows = COLUMNS[column], list(rows)
    known = [row for row in rows if key(row) is not None]
    return [*sorted(known, key=key, reverse=descending), *(row for row in rows if key(row) is None)]


def find_runs(folders: Iterable[str | os.PathLike]) -> Iterator[Path]:
    """Yield the folder of each run, once. Raises InputError where a folder does not exist."""
    paths = [as_folder("A folder", folder) for folder in folders]
    for path in paths:
        if not os.path.isdir(path):
            raise InputError(f"There is no folder {path}; name a folder of runs, or the folder of a run.")
    seen: set[str] = set()
    for path in paths:
        yield from walk(path, DEEPEST, seen)


def walk(folder: Path, depth: int, seen: set[str]) -> Iterator[Path]:
    """Yield the runs in a folder, or the folder itself where it is one.

    depth  how many folders deep to look
    seen   the folders that were looked at, without links; this adds to them
    """
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    if os.path.isfile(folder / CONFIG):
        yield folder
    elif depth:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir())
        except OSError as error:
            warn_of(f"The folder {folder} cannot be read: {error.strerror}; its runs are not listed.")
            return
        for name in names:
            yield from walk(folder / name, depth - 1, seen)


def read_row(folder: Path) -> RunRow:
    """Return the row of a run. A damaged one has a row too."""
    try:
        run = read_run(folder, MONITOR_BYTES)
        locked = is_locked(folder / CONFIG)
        if not locked and run.result is None:
            run = read_run(folder, MONITOR_BYTES)  # it may have ended between the two lines above
        return make_row(run, locked)
    except InputError as error:
        unknown: dict[str, Any] = dict.fromkeys(RunRow._fields)
        known = dict(folder=str(folder), state="damaged", started=read_start(folder), trouble=str(error))
        return RunRow(**{**unknown, **known})


def make_row(run: RunRecord, locked: bool | None) -> RunRow:
    """Return the row of a run that can be read. locked: whether a program holds its folder; None if that is not known.

    Raises InputError where its records hold what no run writes.
    """
    options = validate_options({name: run.config[name] for name in ("env", "seed", "steps") if name in run.config})
    result, (trouble, failed_at) = parse_result(run.result), parse_failure(run.failure)
    if not np.isfinite(run.episodes).all() or not np.isfinite(run.evaluations).all():
        raise InputError(f"The records in {run.path} are damaged: a number is not finite.")
    reached = [int(table[-1, at]) for table, at in ((run.episodes, 3), (run.evaluations, 0)) if len(table)]
    lasted = [float(table[:, at].max()) for table, at in ((run.episodes, 2), (run.evaluations, 1)) if len(table)]
    score, score_of = find_score(run, result)
    return RunRow(
        folder=str(run.path),
        algorithm=run.config["algo"],
        environment=options["env"],
        seed=options.get("seed", Config.seed),
        state=find_state(run, locked),
        steps=result["steps"] if result else max([*reached, failed_at]),
        planned=options.get("steps", Config.steps),
        score=score,
        score_of=score_of,
        seconds=result["wall_s"] if result and "wall_s" in result else max(lasted, default=None),
        started=read_start(run.path),
        trouble=trouble,
        stopped_by=result.get("stopped_by") if result else None,
    )


def find_state(run: RunRecord, locked: bool | None) -> str:
    """Return the state of a run that can be read, one of STATES. locked: whether a program holds its folder."""
    if locked:
        return "running"
    if run.failure is not None:
        return "failed"
    if run.result is not None:
        return "pruned" if run.result.get("pruned") else "stopped" if run.result.get("interrupted") else "finished"
    return "unknown" if locked is None else "killed"


def find_score(run: RunRecord, result: dict[str, Any] | None) -> tuple[float | None, str | None]:
    """Return the score of a run, and what it is the mean of. Both are None before the first episode has ended."""
    if result and result["evaluation"]:
        return float(result["evaluation"]["mean"]), "final"
    if len(run.evaluations):
        return float(run.evaluations[:, 3].max()), "best"
    returns = run.episodes[-RECENT_EPISODES:, 0]
    return (float(returns.mean()), f"last {len(returns)}") if len(returns) else (None, None)


def parse_failure(failure: Any) -> tuple[str | None, int]:
    """Return what failure.json says: the sentence and the steps; (None, 0) where there is none."""
    if failure is None:
        return None, 0
    if not isinstance(failure, dict) or not isinstance(failure.get("error"), str):
        raise InputError(f"{FAILURE} does not say why the run failed.")
    return failure["error"], as_whole_number("steps", failure.get("steps"), 0)


def read_start(folder: Path) -> datetime | None:
    """Return when the workers of a run started, as monitor.csv says it, else when its config.json was written."""
    try:
        with open(folder / MONITOR, "rb") as file:
            seconds = json.loads(file.readline(1000)[1:])["t_start"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):  # no episode has ended, or an earlier version
        seconds = None
    if as_number(seconds, 0, LATEST) is None:
        try:
            seconds = os.stat(folder / CONFIG).st_mtime
        except OSError:  # it was removed just now
            return None
    return datetime.fromtimestamp(seconds).astimezone()
