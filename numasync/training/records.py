"""The folder of a run: what is written there while the run lasts, and how it is read again.

config.json      all options of the run
monitor.csv      one line for each training episode: r (return, unclipped), l (length in steps), t (seconds since the
                 workers started), T (steps over all workers). Its first line is JSON, as other tools expect, with
                 t_start: the time when the workers started
evaluations.csv  one line for each evaluation, periodic or final: T and t of the parameters, and the scores
checkpoint.npz   the agent with the last parameters
checkpoints/     the agents of the last checkpoints, named by their T, with keep_checkpoints
training.npz     the training state of the last checkpoint: what `numasync resume` needs. It has the parameters too
training-previous.npz  the training state before it, which is used where the last one is damaged
best.npz         the agent with the parameters of the best evaluation, if there are periodic evaluations
result.json      the end of the run: steps, wall time, the evaluation of the last parameters
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
    is_leftover,
    is_special,
    json_text,
    lock,
    remove_leftovers,
    write_all,
    write_json,
)

CONFIG, RESULT = "config.json", "result.json"
MONITOR, EVALUATIONS = "monitor.csv", "evaluations.csv"
CHECKPOINT, BEST = "checkpoint.npz", "best.npz"
STATE, PREVIOUS_STATE = "training.npz", "training-previous.npz"
KEPT = "checkpoints"

EPISODE_COLUMNS = ("r", "l", "t", "T")
EPISODE_LINE = "%.10g,%d,%.2f,%d\n"
EVALUATION_COLUMNS = ("T", "t", "episodes", "mean", "std", "min", "max")
EVALUATION_LINE = "%d,%.2f,%d,%.10g,%.10g,%.10g,%.10g\n"


def resume_command(folder: str | os.PathLike) -> str:
    """Return the command that goes on with the run in a folder."""
    return f"numasync resume {shlex.quote(os.fspath(folder))}"


class FolderTakenError(InputError):
    """The folder of a new run is not empty, or another run begins in it."""


class RunFolder:
    """The folder of a run of `config`. Until `close` no other run can take it.

    A new one is made, with config.json in it, when this object is. A folder in which a run could not begin, so that
    nothing but its config.json is in it, is taken again.

    out      the folder
    config   the options of the run
    resumed  whether it is the folder of a run that goes on

    Raises InputError, and writes nothing, where a new folder cannot be made or is not empty, and where a program trains
    in it now.
    """

    def __init__(self, out: str | os.PathLike, config: Config, resumed: bool = False) -> None:
        self.config = config
        self._handle: int | None
        self._made: list[Path] = []
        if resumed:
            self.path, self._handle = Path(out), reopen(Path(out))
        else:
            self.path, self._handle, self._made = claim_folder(out, CONFIG, dataclasses.asdict(config), again=True)

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
        write_json(self.path / CONFIG, dataclasses.asdict(self.config))

    def go_on(self, config: Config, monitor_bytes: int, evaluations_bytes: int) -> None:
        """Prepare the folder for a run that goes on: cut off what its files hold beyond the state. Raises OSError.

        config                            the options from now on
        monitor_bytes, evaluations_bytes  the lengths of monitor.csv and evaluations.csv at the state
        """
        for name, size in ((MONITOR, monitor_bytes), (EVALUATIONS, evaluations_bytes)):
            with contextlib.suppress(FileNotFoundError):
                if os.path.getsize(self.path / name) > size:
                    os.truncate(self.path / name, size)
        if config != self.config:
            self.config = config
            write_json(self.path / CONFIG, dataclasses.asdict(config))
            # The lock belongs to the old file.
            handle = reopen(self.path)
            self.close()
            self._handle = handle
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / RESULT)

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
    config, result = read_ends(folder)
    with explain_damage(folder):
        episodes = read_table(folder / MONITOR, EPISODE_COLUMNS)
        evaluations = read_table(folder / EVALUATIONS, EVALUATION_COLUMNS)
    return RunRecord(folder, config, episodes, evaluations, result)


def read_ends(folder: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what config.json and result.json of a run hold; None where there is no result.json.

    Raises InputError where the folder is none of a run, or they are damaged.
    """
    if not os.path.isfile(folder / CONFIG):
        raise InputError(f"{folder} is no folder of a run; there is no {CONFIG} in it.")
    with explain_damage(folder):
        config = read_config(folder / CONFIG)
        result = json.loads(read_text(folder / RESULT)) if (folder / RESULT).exists() else None
        if result is not None and not isinstance(result, dict):
            raise ValueError(f"{RESULT} holds no result")
    return config, result


@contextlib.contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Raise an InputError where a file of a run that the `with` block reads is damaged."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(f"The records in {folder} are damaged: {str(error).rstrip('.')}.") from error


def read_text(path: Path) -> str:
    """Return the text of a file. Raises OSError where it is a pipe or a device, whose end may never come."""
    if is_special(path):
        raise OSError(f"{path.name} is no file")
    return path.read_text(encoding="utf-8")


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in config.json, also of a run of an earlier version. Raises ValueError if it is damaged."""
    config = json.loads(read_text(path))
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
    whole = read_text(path).split("\n")[:-1]
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
    path, handle, _ = claim_folder(out, name, value)
    os.close(handle)
    return path


def claim_folder(out: str | os.PathLike, name: str, value: Any, again: bool = False) -> tuple[Path, int, list[Path]]:
    """Make a folder with one file in it, of two programs that try it at once only one.

    out    the folder; an empty one may exist
    name   the name of the file
    value  its content, as JSON
    again  whether a folder with nothing but this file is taken again

    Returns the path, the open file, which is locked until it is closed, and the folders that were made. Raises
    InputError, and writes nothing, where the folder cannot be made or is not empty.
    """
    folder, made = Path(out), []
    try:
        check_free(folder, name if again else None)
        made = make_folders(folder)
        handle = open_new(folder / name, again)
        try:
            check_free(folder, name)
            write_new(handle, folder / name, json_text(value))
        except BaseException:
            os.close(handle)
            raise
    except InputError:
        raise
    except OSError as error:
        remove_folders(made)
        raise InputError(f"The folder {folder} cannot be made or written: {error.strerror}.") from error
    remove_leftovers(folder)
    return folder, handle, made


def check_free(folder: Path, name: str | None) -> None:
    """Raise FolderTakenError unless there is nothing at a path, or a folder with at most a file of this name in it.

    Temporary files of killed programs do not count.
    """
    taken = os.path.lexists(folder) and not os.path.isdir(folder)
    if not taken and os.path.lexists(folder):
        own = {name} if name and os.path.isfile(folder / name) else set()
        taken = not all(is_leftover(found) or found in own for found in os.listdir(folder))
    if taken:
        raise FolderTakenError(f"{folder} already exists and is not empty; give another --out, nothing is overwritten.")


def reopen(folder: Path) -> int:
    """Lock the config.json of a run that goes on, and return it open.

    Raises FolderTakenError where a program trains in the folder, InputError where it cannot be written.
    """
    try:
        handle = os.open(folder / CONFIG, os.O_RDWR)
    except OSError as error:
        raise InputError(f"The run in {folder} cannot go on: {CONFIG}: {error.strerror}.") from error
    if lock(handle) is False:
        os.close(handle)
        raise FolderTakenError(f"Another program trains in {folder} now; stop it, or wait for its end.")
    remove_leftovers(folder)
    return handle


def open_new(path: Path, again: bool) -> int:
    """Make a file, or where it may be taken again open it. Return it open and locked.

    Raises FolderTakenError where another has made it, or holds its lock.
    """
    new = True
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        new = False
        handle = os.open(path, os.O_RDWR) if again else -1
    if handle >= 0:
        # A file system without locks cannot tell whether the run of an old file still begins.
        locked = lock(handle)
        if os.fstat(handle).st_nlink and (locked or (new and locked is None)):
            return handle
        os.close(handle)
    raise FolderTakenError(f"Another run begins in {path.parent}; give another --out, nothing is overwritten.")


def write_new(handle: int, path: Path, content: bytes) -> None:
    """Write the content of a file that `open_new` returned. Raises OSError where there is no room; the file is gone."""
    try:
        os.ftruncate(handle, 0)
        write_all(handle, content)
        os.fsync(handle)
    except BaseException:
        os.unlink(path)
        raise


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and its parents where they are missing, and return what was made, the folder itself first."""
    made: list[Path] = []
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        try:
            path.mkdir()
            made.insert(0, path)
        except FileExistsError:  # another program has made it
            if not path.is_dir():
                raise
    return made


def remove_folders(folders: Sequence[Path]) -> None:
    """Remove folders, as far as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
