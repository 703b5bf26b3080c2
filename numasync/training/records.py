"""The folder of a run: what is written there while the run lasts, and how it is read again.

config.json      all options of the run, and made_by: the versions, the processor, its cores and the system
monitor.csv      one line for each training episode: r (return, unclipped), l (length in steps), t (seconds since the
                 workers started), T (steps over all workers). Its first line is JSON, as other tools expect, with
                 t_start: the time when the workers started
evaluations.csv  one line for each evaluation, periodic or final: T and t of the parameters, and the scores
checkpoint.npz   the agent with the last parameters
checkpoints/     the agents of the last checkpoints, named by their T, with keep_checkpoints
training.npz     the training state of the last checkpoint: what `numasync resume` needs. It has the parameters too
training-previous.npz  the training state before it, which is used where the last one is damaged
best.npz         the agent with the parameters of the best evaluation, if there are periodic evaluations
result.json      the end of the run: steps, wall time, the evaluation of the last parameters, stopped_by (the callback
                 that has stopped it before its last step, and why) and made_by. A trial that `numasync tune` has
                 ended early has pruned, and stopped_by says why. A run on a Ray cluster has exchanges, what they have
                 cost
tensorboard/     curves for TensorBoard, with the option tensorboard or the callback TensorBoard
progress.csv     the table of the callback CSVLog
failure.json     of a run that failed: error (one sentence) and steps (over all workers until then)
"""

import contextlib
import dataclasses
import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numasync.algorithms import ALGORITHMS
from numasync.config import Config, rename_options
from numasync.errors import InputError
from numasync.runtime.files import (
    append,
    is_special,
    write_json,
)
from numasync.runtime.machine import made_by
from numasync.training.folders import claim_folder, remove_folders, reopen

CONFIG, RESULT, FAILURE = "config.json", "result.json", "failure.json"
MONITOR, EVALUATIONS = "monitor.csv", "evaluations.csv"
CHECKPOINT, BEST = "checkpoint.npz", "best.npz"
STATE, PREVIOUS_STATE = "training.npz", "training-previous.npz"
KEPT = "checkpoints"

# The key under which config.json and result.json say what wrote them. It is no option of the run.
MADE_BY = "made_by"

# A JSON file that is longer is none of this program.
LONGEST_JSON = 2**22

EPISODE_COLUMNS = ("r", "l", "t", "T")
EPISODE_LINE = "%.10g,%d,%.2f,%d\n"
EVALUATION_COLUMNS = ("T", "t", "episodes", "mean", "std", "min", "max")
EVALUATION_LINE = "%d,%.2f,%d,%.10g,%.10g,%.10g,%.10g\n"


def resume_command(folder: str | os.PathLike) -> str:
    """Return the command that goes on with the run in a folder."""
    return f"numasync resume {shlex.quote(os.fspath(folder))}"


class RunFolder:
    """The folder of a run of `config`. Until `close` no other run can take it.

    A new one is made, with config.json in it, when this object is. A folder in which a run could not begin, so that
    nothing but its config.json is in it, or why it failed, is taken again.

    out      the folder
    config   the options of the run
    resumed  whether it is the folder of a run that goes on

    Raises InputError, and writes nothing, where a new folder cannot be made or is not empty, and where a program trains
    in it now.
    """

    def __init__(self, out: str | os.PathLike, config: Config, resumed: bool = False) -> None:
        self.config, self._made_by = config, made_by()
        self._handle: int | None
        self._made: list[Path] = []
        if resumed:
            self.path, self._handle = Path(out), reopen(Path(out) / CONFIG)
        else:
            again = CONFIG, FAILURE
            self.path, self._handle, self._made = claim_folder(out, CONFIG, self._options(), again)
            self.remove(FAILURE)  # of the run before

    def _options(self) -> dict[str, Any]:
        """Return what config.json holds."""
        return {**dataclasses.asdict(self.config), MADE_BY: self._made_by}

    def remove(self, *names: str) -> None:
        """Remove files, as far as they can be removed."""
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self.path / name)

    def close(self) -> None:
        """Let go of the folder. It stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def discard(self) -> None:
        """Remove the folder of a run that could not begin."""
        with contextlib.suppress(OSError):
            os.unlink(self.path / CONFIG)
            remove_folders(self._made)

    def make_again(self) -> None:
        """Make the folder again, with its config.json, where it was removed. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / CONFIG, self._options())

    def go_on(self, config: Config, monitor_bytes: int, evaluations_bytes: int) -> None:
        """Prepare the folder for a run that goes on: cut off what its files hold beyond the state. Raises OSError.

        config                            the options from now on
        monitor_bytes, evaluations_bytes  the lengths of monitor.csv and evaluations.csv at the state
        """
        for name, size in ((MONITOR, monitor_bytes), (EVALUATIONS, evaluations_bytes)):
            with contextlib.suppress(FileNotFoundError):
                if os.path.getsize(self.path / name) > size:
                    os.truncate(self.path / name, size)
        self.config = config
        write_json(self.path / CONFIG, self._options())
        # The lock belongs to the old file.
        handle = reopen(self.path / CONFIG)
        self.close()
        self._handle = handle
        self.remove(RESULT, FAILURE)

    @property
    def sizes(self) -> tuple[int, int]:
        """The lengths of monitor.csv and evaluations.csv, in bytes."""
        paths = self.path / MONITOR, self.path / EVALUATIONS
        monitor, evaluations = (path.stat().st_size if path.exists() else 0 for path in paths)
        return monitor, evaluations

    @property
    def state(self) -> Path:
        """The path of the training state."""
        return self.path / STATE

    @property
    def previous_state(self) -> Path:
        """The path of the training state before the last."""
        return self.path / PREVIOUS_STATE

    @property
    def checkpoint(self) -> Path:
        """The path of the checkpoint."""
        return self.path / CHECKPOINT

    def kept_checkpoint(self, steps: int) -> Path:
        """Return the path of the checkpoint at T = steps, which is kept. Make its folder. Raises OSError."""
        folder = self.path / KEPT
        folder.mkdir(exist_ok=True)
        return folder / f"{steps:012d}.npz"

    def remove_kept(self, most: int) -> None:
        """Remove the oldest of the checkpoints that are kept, if there are more than `most`. Raises OSError."""
        for path in sorted((self.path / KEPT).glob("[0-9]*.npz"))[:-most]:
            path.unlink(missing_ok=True)

    @property
    def best(self) -> Path:
        """The path of the checkpoint of the best evaluation."""
        return self.path / BEST

    def add_episodes(self, rows: Sequence[Sequence[float]]) -> None:
        """Append rows (return, length, seconds, T) to monitor.csv."""
        if not len(rows):
            return
        # Other tools add the time of the start to the seconds of each episode.
        about = {
            "t_start": time.time() - rows[-1][2],
            "env_id": self.config.env,
            "algo": self.config.algo,
            "seed": self.config.seed,
        }
        head = f"#{json.dumps(about)}\n{','.join(EPISODE_COLUMNS)}\n"
        append(self.path / MONITOR, head, "".join([EPISODE_LINE % tuple(row) for row in rows]))

    def add_evaluation(self, steps: int, seconds: float, evaluation: dict[str, Any]) -> None:
        """Append a line to evaluations.csv.

        steps, seconds  T and the wall time of the parameters that were evaluated
        evaluation      the scores, see `summarize`
        """
        line = EVALUATION_LINE % (steps, seconds, *(evaluation[name] for name in EVALUATION_COLUMNS[2:]))
        append(self.path / EVALUATIONS, f"{','.join(EVALUATION_COLUMNS)}\n", line)

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the lines of evaluations.csv, each by the column. Raises InputError where it is damaged."""
        with explain_damage(self.path):
            table = read_table(self.path / EVALUATIONS, EVALUATION_COLUMNS)
        return [dict(zip(EVALUATION_COLUMNS, row)) for row in table.tolist()]

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json."""
        write_json(self.path / RESULT, {**result, MADE_BY: self._made_by})

    def write_failure(self, error: str, steps: int) -> None:
        """Write failure.json. error: why the run failed, one sentence. steps: T until then."""
        write_json(self.path / FAILURE, {"error": error, "steps": steps})


class RunRecord(NamedTuple):
    """What `read_run` finds in the folder of a run.

    path         the folder
    config       the options of the run
    episodes     float64 (n, 4), with EPISODE_COLUMNS, in the order of T
    evaluations  float64 (n, 7), with EVALUATION_COLUMNS, in the order of T
    result       as in result.json; None where the run has not ended
    failure      as in failure.json; None where the run has not failed
    """

    path: Path
    config: dict[str, Any]
    episodes: np.ndarray
    evaluations: np.ndarray
    result: dict[str, Any] | None
    failure: dict[str, Any] | None = None


def read_run(folder: str | os.PathLike, most: int | None = None) -> RunRecord:
    """Read the folder of a run, which may still be going on. Raises InputError if it is none or is damaged.

    most: of a longer monitor.csv, read this number of bytes at its end; None for all of it
    """
    folder = Path(folder)
    config, result, failure = read_ends(folder)
    with explain_damage(folder):
        episodes = read_table(folder / MONITOR, EPISODE_COLUMNS, most)
        evaluations = read_table(folder / EVALUATIONS, EVALUATION_COLUMNS)
    return RunRecord(folder, config, episodes, evaluations, result, failure)


def read_ends(folder: Path) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
    """Return what config.json, result.json and failure.json of a run hold; None where there is no such file.

    Raises InputError where the folder is none of a run, or they are damaged.
    """
    if not os.path.isfile(folder / CONFIG):
        raise InputError(f"{folder} is no folder of a run; there is no {CONFIG} in it.")
    with explain_damage(folder):
        config = read_config(folder / CONFIG)
        result, failure = (read_json(folder / n) if (folder / n).exists() else None for n in (RESULT, FAILURE))
    if isinstance(result, dict):
        result.pop(MADE_BY, None)
    return config, result, failure


@contextlib.contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Raise an InputError where a file of a run that the `with` block reads is damaged."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(f"The records in {folder} are damaged: {str(error).rstrip('.')}.") from error


def read_text(path: Path, most: int | None = None) -> str:
    """Return the text of a file. Raises OSError where it is a pipe or a device, whose end may never come.

    most: of a file of more bytes, read its first two lines and the whole lines in this number of bytes at its end
    """
    if is_special(path):
        raise OSError(f"{path.name} is no file")
    if most is None or os.path.getsize(path) <= most:
        return path.read_text(encoding="utf-8")
    with open(path, "rb") as file:
        first = file.readline(most) + file.readline(most)
        file.seek(max(file.tell(), os.path.getsize(path) - most) - 1)  # where a line begins, this is the end before it
        return (first + file.read().partition(b"\n")[2]).decode()


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises OSError as `read_text` does, and ValueError where it is damaged."""
    if os.path.isfile(path) and os.path.getsize(path) > LONGEST_JSON:
        raise ValueError(f"{path.name} is longer than any that numasync writes")
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in config.json, also of a run of an earlier version. Raises ValueError if it is damaged."""
    config = read_json(path)
    valid = isinstance(config, dict) and config.get("algo") in tuple(ALGORITHMS) and isinstance(config.get("env"), str)
    if not valid:
        raise ValueError(f"{path.name} does not say which algorithm was run on which environment")
    return rename_options({name: value for name, value in config.items() if name != MADE_BY})


def read_table(path: Path, columns: Sequence[str], most: int | None = None) -> np.ndarray:
    """Return the numbers of a file that `append` wrote: float64 (lines, columns), in the order of T.

    There are no lines where there is no file. A last line without its end is left out. Raises ValueError if a line is
    damaged. most: as for `read_text`
    """
    if not path.exists():
        return np.empty((0, len(columns)))
    whole = read_text(path, most).split("\n")[:-1]
    rows = [line.split(",") for line in whole if not line.startswith("#")]
    if rows and rows[0] != list(columns):
        raise ValueError(f"{path.name} does not begin with the columns {','.join(columns)}")
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"a line of {path.name} does not have {len(columns)} numbers")
    table = np.array(rows[1:], np.float64).reshape(-1, len(columns))
    return table[np.argsort(table[:, columns.index("T")], kind="stable")]
