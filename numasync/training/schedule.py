"""When something is due during a run, how the learning rate falls, and how long the run has lasted."""

import time
from typing import NamedTuple

# Steps after which a learning rate that does not fall would be 0.
NEVER = 2**62


class Schedule(NamedTuple):
    """How the learning rate falls: from lr at T = 0, in a straight line, to 0 at T = steps."""

    lr: float
    steps: int

    def rate(self, T: int) -> float:
        """Return the learning rate at T, the steps over all workers."""
        return self.lr * max(1.0 - T / self.steps, 0.0)

    def hold(self, T: int) -> "Schedule":
        """Return the schedule that keeps the learning rate as it is at T."""
        return Schedule(self.rate(T), NEVER)


class Every:
    """Tells when a count crosses a multiple of n.

    Every crossing is reported once. Several multiples that are crossed at the same time are one crossing.

    n          a whole number above 0
    multiples  how many multiples have been crossed and reported
    """

    def __init__(self, n: int, multiples: int = 0) -> None:
        self.n = n
        self.multiples = multiples

    def is_due(self, value: int) -> bool:
        """Return whether `value` has crossed a multiple of n since the last crossing that was reported."""
        return value // self.n > self.multiples

    def crossed(self, value: int) -> bool:
        """Return what `is_due` returns, and report the crossing."""
        due = self.is_due(value)
        self.multiples = max(self.multiples, value // self.n)
        return due


class Stopwatch:
    """Measures the wall time from `start` to `stop`.

    before  seconds that count too: of the run before it was stopped
    """

    def __init__(self, before: float = 0.0) -> None:
        self._before = before
        self._started: float | None = None
        self._stopped: float | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Keep the seconds as they are now."""
        self._stopped = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds from start to stop, or to now, and the seconds before."""
        if self._started is None:
            return self._before
        return self._before + (time.perf_counter() if self._stopped is None else self._stopped) - self._started
