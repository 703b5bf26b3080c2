"""Periodic evaluation in a background thread, while the workers train."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class BackgroundEvaluator:
    """Evaluations beside a run, one at a time, each of a copy of theta at a crossing of `every` actions.

    evaluate(theta, stop) -> score, see `summary`, runs in a thread of its own. on_score(T, seconds, theta, score)
    is called by `look` and `finish`, from the thread of their caller, with T and time of the copy. A crossing that
    comes while the last copy is still being scored has to wait.
    """

    def __init__(self, every, evaluate, on_score):
        self.every, self.evaluate, self.on_score = every, evaluate, on_score
        self.crossed = 0
        self.copy = self.future = None
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(1)

    def look(self, trainer):
        """Pass on a score that is ready, and copy theta if it is time. Called often, from the supervisor."""
        if self.future and self.future.done():
            self._pass_on()
        if trainer.steps // self.every > self.crossed and not self.future:
            self.crossed = trainer.steps // self.every
            self.copy = (trainer.steps, trainer.seconds, trainer.theta.copy())
            if np.isfinite(self.copy[2]).all():  # if not, the trainer will soon end the run
                self.future = self.pool.submit(self.evaluate, self.copy[2], self.stop)

    def finish(self):
        """Wait for what is under way, and pass it on."""
        if self.future:
            self._pass_on()

    def close(self):
        """Give up what is under way, which soon ends, and do not wait for it: an environment may hang."""
        self.stop.set()
        self.pool.shutdown(wait=False)

    def _pass_on(self):
        score, self.future = self.future.result(), None
        self.on_score(*self.copy, score)
