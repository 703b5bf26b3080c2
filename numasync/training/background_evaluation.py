"""Periodic evaluation in a background thread, while the workers train. Without threads they wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from numasync.runtime.threads import make_pool
from numasync.training.schedule import Every


class BackgroundEvaluator:
    """Evaluates a copy of theta whenever T crosses a multiple of `every`, one evaluation at a time.

    A crossing that comes during an evaluation waits for its end; several of them become one evaluation.

    every     steps over all workers
    evaluate  (theta, stop) -> score; runs in a background thread and returns soon after the Event `stop` is set
    on_score  (T, seconds, theta, score), where T, seconds and theta are those at the copy; called by `poll` and
              `finish` in the thread of their caller
    on_error  (T, error) where an evaluation has raised; None: `poll` and `finish` raise the error
    """

    def __init__(
        self,
        every: int,
        evaluate: Callable[[np.ndarray, threading.Event], Any],
        on_score: Callable[[int, float, np.ndarray, Any], None],
        on_error: Callable[[int, Exception], None] | None = None,
    ) -> None:
        self.every, self.evaluate, self.on_score, self.on_error = Every(every), evaluate, on_score, on_error
        self.copy: tuple[int, float, np.ndarray] | None = None
        # An evaluation that had begun when the run was stopped. It begins again.
        self.waiting: tuple[int, float, np.ndarray] | None = None
        self.future: Future | None = None
        self.stop = threading.Event()
        self.pool = make_pool(1)

    def poll(self, steps: int, seconds: float, theta: np.ndarray) -> None:
        """Pass on a score that is ready, and begin an evaluation if it is time. The supervisor calls this often.

        steps    T, the steps so far over all workers
        seconds  wall time since the workers started
        theta    the parameters; a copy is evaluated
        """
        self.collect()
        if not self.future and self.every.crossed(steps):
            self.begin(steps, seconds, theta.copy())

    def collect(self) -> None:
        """Pass on a score that is ready, and begin the evaluation that waits."""
        if self.future and self.future.done():
            self._pass_on()
        if self.waiting and not self.future:
            waiting, self.waiting = self.waiting, None
            self.begin(*waiting)

    def begin(self, steps: int, seconds: float, theta: np.ndarray) -> None:
        """Begin an evaluation. There is none under way. theta: the parameters, which do not change any more."""
        self.copy = (steps, seconds, theta)
        if np.isfinite(theta).all():  # otherwise the supervisor soon ends the run
            self.stop = threading.Event()  # an evaluation that fails sets its own
            self.future = self.pool.submit(self.evaluate, theta, self.stop)

    @property
    def pending(self) -> tuple[int, float, np.ndarray] | None:
        """T, seconds and parameters of the evaluation whose score has not been passed on; None where there is none."""
        return self.copy if self.future else self.waiting

    def finish(self) -> None:
        """Wait for the evaluation that is running, if any, and pass its score on."""
        self.collect()
        if self.future:
            self._pass_on()

    def close(self) -> None:
        """Stop the evaluation that is running, without waiting for its end: an environment may hang."""
        self.stop.set()
        self.pool.shutdown(wait=False)

    def _pass_on(self) -> None:
        assert self.future and self.copy
        future, self.future = self.future, None
        try:
            score = future.result()
        except Exception as error:
            if not self.on_error:
                raise
            self.on_error(self.copy[0], error)
        else:
            self.on_score(*self.copy, score)
