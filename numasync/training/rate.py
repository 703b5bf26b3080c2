"""How fast a run is now."""

from collections import deque

# The rate of the last seconds. A mean since the start would hide that a run has become slower.
WINDOW_SECONDS = 10.0


class RecentRate:
    """The steps a second of the last WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, seconds: float, steps: int) -> float:
        """Add how far a run is, and return its steps a second: 0 if that is not known yet.

        The first time this is the mean since the start.

        seconds  wall time since the start of the run
        steps    the steps since then
        """
        samples = self._samples
        samples.append((seconds, steps))
        while len(samples) > 2 and seconds - samples[0][0] > WINDOW_SECONDS:
            samples.popleft()
        (before, steps_before) = samples[0] if len(samples) > 1 else (0.0, 0)
        return (steps - steps_before) / (seconds - before) if seconds > before else 0.0
