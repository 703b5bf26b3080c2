"""When something is due during a run, and how long the run has lasted."""

import time


class Every:
    """Tells when a count crosses a multiple of n.

    Every crossing is reported once. Several multiples that are crossed at the same time are one crossing.

    n  a whole number above 0
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.multiples = 0

    def crossed(self, value: int) -> bool:
        """Return whether `value` has crossed a multiple of n since the last crossing that was reported."""
        multiples = value // self.n
        if multiples <= self.multiples:
            return False
        self.multiples = multiples
        return True


class Stopwatch:
    """Measures the wall time from `start` to `stop`."""

    def __init__(self) -> None:
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
        """The seconds from start to stop, or to now; 0 before the start."""
        if self._started is None:
            return 0.0
        return (time.perf_counter() if self._stopped is None else self._stopped) - self._started
