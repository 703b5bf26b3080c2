"""The folder of a run: what is written there while the run lasts, and how it is read again.

config.json      all options of the run
monitor.csv      one line for each training episode: r (return, unclipped), l (length in steps), t (seconds since the
                 workers started), T (steps over all workers). Its first line is JSON, as other tools expect.
evaluations.csv  one line for each evaluation, periodic or final: T and t of the parameters, and the scores
checkpoint.npz   the agent with the last parameters
best.npz         the agent with the parameters of the best evaluation, if there are periodic evaluations
result.json      the end of the run: steps, wall time, the evaluation of the last parameters
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHMS
from numasync.config import Config, rename_options
from numasync.errors import InputError
from numasync.runtime.files import append, write_json

CONFIG, RESULT = "config.json", "result.json"
MONITOR, EVALUATIONS = "monitor.csv", "evaluations.csv"
CHECKPOINT, BEST = "checkpoint.npz", "best.npz"

EPISODE_COLUMNS = ("r", "l", "t", "T")
EPISODE_LINE = "%.10g,%d,%.2f,%d\n"
EVALUATION_COLUMNS = ("T", "t", "episodes", "mean", "std", "min", "max")
EVALUATION_LINE = "%d,%.2f,%d,%.10g,%.10g,%.10g,%.10g\n"


class RunFolder:
    """A new folder for a run of `config`. It is made, with config.json in it, when this object is.

    Raises InputError, and writes nothing, where the folder cannot be made or is not empty.
    """

    def __init__(self, out: str | os.PathLike, config: Config) -> None:
        self.path = make_folder(out, CONFIG, dataclasses.asdict(config))
        self.config = config

    @property
    def checkpoint(self) -> Path:
        """The path of the checkpoint."""
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        """The path of the checkpoint of the best evaluation."""
        return self.path / BEST

    def add_episodes(self, rows: Iterable[Sequence[float]]) -> None:
        """Append rows (return, length, seconds, T) to monitor.csv."""
        about = {"env_id": self.config.env, "algo": self.config.algo, "seed": self.config.seed}
        head = f"#{json.dumps(about)}\n{','.join(EPISODE_COLUMNS)}\n"
        append(self.path / MONITOR, head, "".join([EPISODE_LINE % tuple(row) for row in rows]))

    def add_evaluation(self, steps: int, seconds: float, evaluation: dict[str, Any]) -> None:
        """Append a line to evaluations.csv.

        steps, seconds  T and the wall time of the parameters that were evaluated
        evaluation      the scores, see `summarize`
        """
        line = EVALUATION_LINE % (steps, seconds, *(evaluation[name] for name in EVALUATION_COLUMNS[2:]))
        append(self.path / EVALUATIONS, f"{','.join(EVALUATION_COLUMNS)}\n", line)

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json."""
        write_json(self.path / RESULT, result)


class RunRecord(NamedTuple):
    """What `read_run` finds in the folder of a run.

    path         the folder
    config       the options of the run
    episodes     float64 (n, 4), with EPISODE_COLUMNS, in the order of T
    evaluations  float64 (n, 7), with EVALUATION_COLUMNS, in the order of T
    result       as in result.json; None where the run has not ended
    """

    path: Path
    config: dict[str, Any]
    episodes: np.ndarray
    evaluations: np.ndarray
    result: dict[str, Any] | None


def read_run(folder: str | os.PathLike) -> RunRecord:
    """Read the folder of a run, which may still be going on. Raises InputError if it is none or is damaged."""
    folder = Path(folder)
    if not os.path.isfile(folder / CONFIG):
        raise InputError(f"{folder} is no folder of a run; there is no {CONFIG} in it.")
    try:
        config = read_config(folder / CONFIG)
        result = json.loads((folder / RESULT).read_text()) if (folder / RESULT).exists() else None
        episodes = read_table(folder / MONITOR, EPISODE_COLUMNS)
        evaluations = read_table(folder / EVALUATIONS, EVALUATION_COLUMNS)
    except (OSError, ValueError) as error:
        raise InputError(f"The records in {folder} are damaged: {str(error).rstrip('.')}.") from error
    return RunRecord(folder, config, episodes, evaluations, result)


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in config.json, also of a run of an earlier version. Raises ValueError if it is damaged."""
    config = json.loads(path.read_text())
    valid = isinstance(config, dict) and config.get("algo") in tuple(ALGORITHMS) and isinstance(config.get("env"), str)
    if not valid:
        raise ValueError(f"{path.name} does not say which algorithm was run on which environment")
    return rename_options(config)


def read_table(path: Path, columns: Sequence[str]) -> np.ndarray:
    """Return the numbers of a file that `append` wrote: float64 (lines, columns), in the order of T.

    There are no lines where there is no file. A last line without its end is left out. Raises ValueError if a line is
    damaged.
    """
    if not path.exists():
        return np.empty((0, len(columns)))
    whole = path.read_text().split("\n")[:-1]
    rows = [line.split(",") for line in whole if not line.startswith("#")]
    if rows and rows[0] != list(columns):
        raise ValueError(f"{path.name} does not begin with the columns {','.join(columns)}")
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"a line of {path.name} does not have {len(columns)} numbers")
    table = np.array(rows[1:], np.float64).reshape(-1, len(columns))
    return table[np.argsort(table[:, columns.index("T")], kind="stable")]


def make_folder(out: str | os.PathLike, name: str, value: Any) -> Path:
    """Make a folder with one file in it and return its path.

    out    the folder; an empty one may exist
    name   the name of the file
    value  its content, as JSON

    Raises InputError, and writes nothing, where the folder cannot be made or is not empty.
    """
    folder = Path(out)
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if not taken:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / name, value)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made or written: {error.strerror}.") from error
    if taken:
        raise InputError(f"{folder} already exists and is not empty; give another --out, nothing is overwritten.")
    return folder
