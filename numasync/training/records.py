"""The folder of a run: what is written there while it trains, and how it is read again.

config.json       every option of the run
monitor.csv       one line a training episode: r (return, unclipped), l (length in actions), t (seconds since the
                  workers started), T (actions over all workers); before them a line of JSON, as other tools expect
evaluations.csv   one line an evaluation, beside the training and at its end: T and t of the parameters that were
                  scored, and the score
checkpoint.npz    the last parameters; best.npz: those of the highest evaluation
result.json       the end of the run: steps, wall time, the evaluation of the last parameters
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHMS
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
    """A new folder for a run of `config`; made, with config.json in it, when this is.

    Raises InputError, and writes nothing, where the folder cannot be made or already holds something.
    """

    def __init__(self, out, config):
        self.path = new_folder(out, CONFIG, dataclasses.asdict(config))
        self.config = config

    @property
    def checkpoint(self):
        return self.path / CHECKPOINT

    @property
    def best(self):
        return self.path / BEST

    def add_episodes(self, rows):
        """Append rows (return, length, seconds, T) to monitor.csv."""
        about = {"env_id": self.config.env, "algo": self.config.algo, "seed": self.config.seed}
        head = f"#{json.dumps(about)}\n{','.join(EPISODE_COLUMNS)}\n"
        append(self.path / MONITOR, head, "".join([EPISODE_LINE % tuple(row) for row in rows]))

    def add_evaluation(self, steps, seconds, score):
        """Append to evaluations.csv the score, see `evaluation.summary`, of parameters as they were at T = steps."""
        line = EVALUATION_LINE % (steps, seconds, *(score[name] for name in EVALUATION_COLUMNS[2:]))
        append(self.path / EVALUATIONS, f"{','.join(EVALUATION_COLUMNS)}\n", line)

    def write_result(self, result):
        write_json(self.path / RESULT, result)


class Run(NamedTuple):
    """What `read_run` finds. config: a dict. episodes: float64 (n, 4), EPISODE_COLUMNS in the order of T.
    evaluations: float64 (n, 7), EVALUATION_COLUMNS. result: a dict, or None where the run has not ended."""

    path: Path
    config: dict
    episodes: np.ndarray
    evaluations: np.ndarray
    result: dict | None


def read_run(folder):
    """The Run in a folder, also of one that is still going on. Raises InputError if it is none."""
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
    return Run(folder, config, episodes, evaluations, result)


def read_config(path):
    config = json.loads(path.read_text())
    said = isinstance(config, dict) and config.get("algo") in tuple(ALGORITHMS) and isinstance(config.get("env"), str)
    if not said:
        raise ValueError(f"{path.name} does not say which algorithm was run on what")
    return config


def read_table(path, columns):
    """The numbers of a file by `append`, (lines, columns), in the order of T; none where there is no file. A last line
    that has no end yet is left out."""
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


def new_folder(out, name, value):
    """Create a folder with a file `name` in it, `value` as JSON; refuse one that already holds something."""
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
