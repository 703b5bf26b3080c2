"""Calling the callbacks of a run, and keeping what they answer."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numasync.errors import CallbackError, InputError, escape_unprintable, failure_of, one_line
from numasync.runtime.checks import show
from numasync.runtime.interrupts import EndedBySignal
from numasync.training.callbacks import Callback, Checkpoint, End, Episode, Evaluation, Start
from numasync.training.learning import Learning
from numasync.training.progress import Progress

# on_progress is called less and less often: a short run has points enough for a curve, a long one not too many.
FIRST_SECONDS, GROWTH, LONGEST_SECONDS = 0.1, 1.02, 2.0

LONGEST_REASON = 300

METHODS = {Episode: "on_episode", Evaluation: "on_evaluation", Checkpoint: "on_checkpoint"}


class CallbackCalls:
    """Calls the callbacks of a run, from one thread.

    callbacks  in the order in which they are called
    read       (T) -> what the workers have learned from since the last call
    stop       called where a callback asks to stop the run, or fails

    It also has these attributes:

    stopped_by  the name of the callback that has asked to stop the run, and why; None where none has
    error       the CallbackError of the first callback that has failed. Only on_end is called after it
    """

    def __init__(
        self, callbacks: Sequence[Callback], read: Callable[[int], Learning], stop: Callable[[], None]
    ) -> None:
        self.read, self.stop = read, stop
        methods = [name for name in vars(Callback) if name.startswith("on_")]
        # Nothing is prepared for a method that no callback has written: a fast environment ends many episodes.
        self.listeners = {name: [each for each in callbacks if writes(each, name)] for name in methods}
        self.stopped_by: str | None = None
        self.error: CallbackError | None = None
        self.waiting: deque[Episode | Evaluation | Checkpoint] = deque()
        self.held: list[Evaluation] = []
        self.interval, self.due = FIRST_SECONDS, 0.0
        self.steps, self.seconds = 0, 0.0

    def start(self, start: Start) -> None:
        """Call on_start. Raises InputError where a callback raises it there: bad input that only the run shows."""
        self.steps, self.seconds = start.steps, start.seconds
        self._call("on_start", start)

    def add(self, event: Episode | Evaluation | Checkpoint) -> None:
        """Keep an event for the next `deliver`."""
        if self.listeners[METHODS[type(event)]]:
            self.waiting.append(event)

    def hold(self, evaluation: Evaluation) -> None:
        """Keep an evaluation until `release`. A deterministic run does, so that it stops at the same T every time."""
        self.held.append(evaluation)

    def release(self) -> None:
        """Keep the evaluations that were held for the next `deliver`."""
        for evaluation in self.held:
            self.add(evaluation)
        self.held.clear()

    def add_episodes(self, rows: Sequence[tuple[float, float, float, float]]) -> None:
        """Keep episodes for the next `deliver`. rows: (return, length, seconds, T) of each."""
        if self.listeners["on_episode"]:
            self.waiting.extend(Episode(score, int(length), seconds, int(T)) for score, length, seconds, T in rows)

    def deliver(self, progress: Progress, last: bool = False) -> None:
        """Call the methods for the events that wait, and on_progress if it is due. last: it is due in any case."""
        while self.waiting:
            event = self.waiting.popleft()
            self._call(METHODS[type(event)], event)
        if self.listeners["on_progress"] and (last or progress.seconds >= self.due):
            self.due = progress.seconds + self.interval
            self.interval = min(GROWTH * self.interval, LONGEST_SECONDS)
            steps, seconds = progress.steps - self.steps, progress.seconds - self.seconds
            self.steps, self.seconds = progress.steps, progress.seconds
            rate = steps / seconds if seconds > 0 else 0.0
            self._call("on_progress", progress._replace(steps_per_s=rate, learning=self.read(progress.steps)))

    def end(self, end: End) -> None:
        """Call the methods for the events that wait, and on_end. What on_end returns changes nothing."""
        while self.waiting:
            event = self.waiting.popleft()
            self._call(METHODS[type(event)], event)
        self._call("on_end", end)

    def _call(self, method: str, event: Any) -> None:
        for callback in self.listeners[method]:
            if self.error and method != "on_end":
                return
            try:
                self._take(callback, method, getattr(callback, method)(event))
            except (BrokenPipeError, EndedBySignal):  # nobody reads the output any more; a signal ends the program
                raise
            except (Exception, SystemExit) as error:
                if isinstance(error, InputError) and method == "on_start":
                    raise
                self._fail(failure_of(f"{method} of {callback.name}", error), error)

    def _take(self, callback: Callback, method: str, answer: Any) -> None:
        """Do what a callback has answered."""
        if answer is not None and not isinstance(answer, (bool, np.bool_)):
            what = f"{method} of {callback.name} returned {show(answer)}"
            self._fail(f"{what}; it must return True to stop the run, or None.")
        elif answer and method != "on_end":
            self.stopped_by = self.stopped_by or describe_stop(callback)
            self.stop()

    def _fail(self, text: str, cause: BaseException | None = None) -> None:
        """Keep the first failure, and end the run."""
        if not self.error:
            self.error = CallbackError(text)
            self.error.__cause__ = cause
        self.stop()


def writes(callback: Callback, method: str) -> bool:
    """Return whether a callback has a method of its own in the place of Callback's, which does nothing."""
    own = getattr(callback, method)
    return getattr(own, "__func__", None) is not getattr(Callback, method)


def describe_stop(callback: Callback) -> str:
    """Return which callback has stopped a run, and why: a text of one line."""
    reason = one_line(callback.reason).rstrip(".") if callback.reason else ""
    text = f"{callback.name}: {reason}" if reason else callback.name
    return escape_unprintable(text)[:LONGEST_REASON]
