"""Callbacks: your own code, called while a run lasts.

    class Printer(numasync.Callback):
        def on_evaluation(self, evaluation):
            print(evaluation.steps, evaluation.scores["mean"])
            return evaluation.scores["mean"] > 400  # True stops the run

    numasync.train("CartPole-v1", callbacks=[Printer()])

Each method gets one of the tuples below. All calls come from the thread that has called `train`, a few times a second,
one after the other. The workers go on in the meantime.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numasync.config import Config
from numasync.errors import InputError
from numasync.runtime.checks import show
from numasync.training.progress import Progress

if TYPE_CHECKING:
    from numasync.agent.agent import Agent


class Episode(NamedTuple):
    """A training episode that has ended.

    score    its return: the sum of its rewards, which are not clipped
    length   its length in steps
    seconds  wall time since the workers started
    steps    T at its end
    """

    score: float
    length: int
    seconds: float
    steps: int


class Evaluation(NamedTuple):
    """An evaluation that was played.

    steps    T of the parameters that were evaluated
    seconds  wall time at that T, since the workers started
    scores   a dict: episodes (their number), mean, std, min and max of their returns
    best     whether no evaluation before had as high a mean
    final    whether it is the final evaluation
    """

    steps: int
    seconds: float
    scores: dict[str, Any]
    best: bool
    final: bool = False


class Checkpoint(NamedTuple):
    """A checkpoint that was written.

    path   the file of the agent
    steps  T of its parameters
    """

    path: Path
    steps: int


class Start(NamedTuple):
    """A run that begins, or goes on.

    config       its options
    folder       its folder; None where nothing is written
    steps        T; 0 for a run that begins
    seconds      wall time of the training until then
    evaluations  what was played before, of a run that goes on after it was interrupted. There are none where the run
                 begins, or had ended
    """

    config: Config
    folder: Path | None
    steps: int
    seconds: float
    evaluations: Sequence[Evaluation]


class End(NamedTuple):
    """The end of a run.

    agent   the agent, with its last parameters
    result  what result.json has; None where the run has failed
    error   why the run has failed; None where it has not
    """

    agent: "Agent"
    result: dict[str, Any] | None
    error: Exception | None


class Callback:
    """Follows a run. Derive a class, and write the methods that you need.

    A method returns True to stop the run, and otherwise nothing. The run then ends in good order: the training state is
    saved, the final evaluation is played, and result.json says what has stopped it. What a method raises ends the run
    too, with a CallbackError. The agent and the training state are saved before.
    """

    def on_start(self, start: Start) -> bool | None:
        """Look at a run that begins or goes on, before anything is compiled. An InputError here is bad input."""

    def on_progress(self, progress: Progress) -> bool | None:
        """Look at how far the run is: ten times a second at first, every two seconds later, and once at the end."""

    def on_episode(self, episode: Episode) -> bool | None:
        """Look at a training episode. Each one comes, in the order of their ends, a little after it has ended."""

    def on_evaluation(self, evaluation: Evaluation) -> bool | None:
        """Look at an evaluation, periodic or final. With `deterministic` a periodic one comes when the next is due."""

    def on_checkpoint(self, checkpoint: Checkpoint) -> bool | None:
        """Look at a checkpoint that was written."""

    def on_end(self, end: End) -> bool | None:
        """Look at the end of the run, also of one that has failed. A True changes nothing here."""

    @property
    def name(self) -> str:
        """The name of the callback in messages: of its class."""
        return type(self).__name__

    @property
    def reason(self) -> str:
        """Why it stops the run, in a few words. They follow its name in result.json. "" says no more."""
        return ""


def as_evaluations(rows: Sequence[dict[str, Any]]) -> list[Evaluation]:
    """Return evaluations that a run has written down. rows: the lines of evaluations.csv, by the column."""
    found: list[Evaluation] = []
    for row in rows:
        best = not any(other.scores["mean"] >= row["mean"] for other in found)
        scores = {name: value for name, value in row.items() if name not in ("T", "t")}
        scores["episodes"] = int(row["episodes"])
        found.append(Evaluation(int(row["T"]), row["t"], scores, best))
    return found


class ProgressFunction(Callback):
    """A function in the place of a callback: it is called as on_progress.

    function  (Progress) -> True to stop the run, or None
    """

    def __init__(self, function: Callable[[Progress], bool | None]) -> None:
        self.function = function

    def on_progress(self, progress: Progress) -> bool | None:
        """Call the function."""
        return self.function(progress)

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__name__", type(self.function).__name__)


# What a user gives: a Callback, or a function that is called as on_progress.
Given = Callback | Callable[[Progress], bool | None]


def as_callbacks(given: Any) -> list[Callback]:
    """Check the callbacks that a user gives, and return them as a list. Raises InputError where they are no list."""
    if not isinstance(given, (list, tuple)):
        raise InputError(f"callbacks is {show(given)}; it must be a list of callbacks, such as [StopAtScore(400)].")
    return [as_callback(each) for each in given]


def as_callback(given: Any) -> Callback:
    """Return one callback. Raises InputError for what is none."""
    if isinstance(given, Callback):
        return given
    if isinstance(given, type) or not callable(given):
        call = f"; write {given.__name__}(...)" if isinstance(given, type) and issubclass(given, Callback) else ""
        raise InputError(f"{show(given)} in callbacks is neither a numasync.Callback nor a function{call}.")
    return ProgressFunction(given)
