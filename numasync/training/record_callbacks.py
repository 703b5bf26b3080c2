"""Callbacks that write a run's numbers down: for TensorBoard, and as a table."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from numasync.errors import InputError, warn_of
from numasync.runtime.checks import as_folder, as_path
from numasync.runtime.files import append, is_special
from numasync.training.callbacks import Callback, Evaluation, Start
from numasync.training.event_file import EventFile, check_installed
from numasync.training.learning import Learning
from numasync.training.progress import Progress

FOLDER, TABLE = "tensorboard", "progress.csv"

# The columns of a table: of the progress, and of what the workers have learned from.
PROGRESS_COLUMNS: dict[str, Callable[[Progress], float | None]] = {
    "T": lambda progress: progress.steps,
    "t": lambda progress: round(progress.seconds, 2),
    "steps_per_s": lambda progress: round(progress.steps_per_s, 1),
    "episodes": lambda progress: progress.episodes,
    "mean_return": lambda progress: mean(progress.returns),
    "mean_length": lambda progress: mean(progress.lengths),
}
COLUMNS = (*PROGRESS_COLUMNS, *Learning._fields)


class Recorder(Callback):
    """Writes a run's numbers down. Where they cannot be written it says so once, and the run goes on."""

    def __init__(self) -> None:
        self._said = False

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Let a `with` block that cannot write do no harm."""
        try:
            yield
        except OSError as error:
            if not self._said:
                self._said = True
                text = error.strerror or error
                warn_of(f"{self.name} cannot write {error.filename or 'its numbers'}: {text}; the run goes on.")


class TensorBoard(Recorder):
    """Write a run's numbers for TensorBoard: as the option tensorboard.

    folder: where to write; by default the folder `tensorboard` in the folder of the run.

    The curves go over T, the steps of all workers. A run that goes on continues its curves. Where the file cannot be
    written, the run goes on with a warning. Raises InputError where tensorboardX is missing. The run raises it where
    neither this callback nor the run has a folder.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        super().__init__()
        self.folder = None if folder is None else as_folder("folder", folder)
        check_installed()
        self._file: EventFile | None = None

    def on_start(self, start: Start) -> None:
        """Begin a file."""
        folder = self.folder or (start.folder and start.folder / FOLDER)
        if not folder:
            raise InputError("TensorBoard has no folder; give it one, or give the run one (out).")
        self._said, self._file = False, None
        with self._forgiving():
            # What was written beyond the training state is played again. A point at its T stays.
            self._file = EventFile(folder, start.steps + 1 if start.steps else 0)
            self._file.add_text(start.steps, "options", option_table(start))

    def on_progress(self, progress: Progress) -> None:
        """Add a point to the curves of the training."""
        learning = progress.learning
        assert learning
        numbers = {
            "rollout/ep_rew_mean": mean(progress.returns),
            "rollout/ep_len_mean": mean(progress.lengths),
            "time/fps": progress.steps_per_s,
            "train/loss": learning.loss,
            "train/grad_norm": learning.grad_norm,
            "train/entropy": learning.entropy,
            "train/value": learning.value,
            "train/learning_rate": learning.lr,
            "train/epsilon": learning.epsilon,
        }
        self._add(progress.steps, numbers)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Add a point to the curve of the evaluations."""
        self._add(evaluation.steps, {"eval/mean_reward": evaluation.scores["mean"]})

    def _add(self, steps: int, numbers: dict[str, float | None]) -> None:
        if self._file:
            with self._forgiving():
                self._file.add_numbers(steps, numbers)


class CSVLog(Recorder):
    """Write a run's progress as a table: a line each time on_progress is called.

    path: the file; by default progress.csv in the folder of the run. A new run does not overwrite a file.

    The columns: T (steps over all workers), t (wall time), steps_per_s, episodes, mean_return and mean_length of the
    last 100 training episodes, updates, and then the learner's own numbers since the line before: loss, grad_norm,
    entropy, value, lr and epsilon. A number that is not known is left empty.

    A run that goes on continues its table. Lines beyond its training state are cut off. Where the file cannot be
    written, the run goes on with a warning. The run raises InputError where there is no path, or the file is another.
    """

    def __init__(self, path: str | os.PathLike | None = None) -> None:
        super().__init__()
        self.path = None if path is None else as_path("path", path)
        self._file = Path()

    def on_start(self, start: Start) -> None:
        """Cut off what a run that goes on has written beyond its training state."""
        file = self.path or (start.folder and start.folder / TABLE)
        if not file:
            raise InputError("CSVLog has no path; give it one, or give the run a folder (out).")
        self._file, self._said = file, False
        if os.path.lexists(file):
            cut_table(file, start.steps, is_own=self.path is None)

    def on_progress(self, progress: Progress) -> None:
        """Add a line."""
        assert progress.learning
        cells = [*(column(progress) for column in PROGRESS_COLUMNS.values()), *progress.learning]
        line = ",".join("" if cell is None else f"{cell:.10g}" for cell in cells)
        with self._forgiving():
            append(self._file, f"{','.join(COLUMNS)}\n", f"{line}\n")


def cut_table(file: Path, steps: int, is_own: bool) -> None:
    """Cut off the lines of a CSVLog with more steps than a run has made.

    file    the table
    steps   T
    is_own  whether it lies in the folder of the run, so that no other has written it

    Raises InputError where it is no such table, or of another run. Raises OSError.
    """
    if is_special(file) or os.path.isdir(file):
        raise InputError(f"{file} is no file.")
    lines = file.read_bytes().splitlines(keepends=True)
    if lines and (lines[0].decode(errors="replace").rstrip("\n") != ",".join(COLUMNS) or not (steps or is_own)):
        raise InputError(f"{file} already exists; give another path, nothing is overwritten.")
    kept = itertools.takewhile(lambda line: 0 <= steps_of(line) <= steps, lines[1:])
    os.truncate(file, sum(map(len, [*lines[:1], *kept])) if steps else 0)


def steps_of(line: bytes) -> int:
    """Return T of a line of a CSVLog; -1 where it is not whole."""
    T = line.partition(b",")[0]
    return int(T) if T.isdigit() and line.endswith(b"\n") else -1


def option_table(start: Start) -> str:
    """Return the options of a run as a table in Markdown."""
    options = dataclasses.asdict(start.config)
    return "\n".join(["| option | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in options.items())])


def mean(numbers: Sequence[float]) -> float | None:
    """Return the mean of numbers, or None where there is none."""
    return float(sum(numbers) / len(numbers)) if numbers else None
