"""How far a run is, and the training episodes that have ended in it."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numasync.training.learning import Learning

# Returns of the last training episodes that are kept.
RECENT_EPISODES = 100


class Progress(NamedTuple):
    """How far a run is.

    steps        T, the steps so far over all workers
    max_steps    the steps of the whole run
    seconds      wall time since the workers started, without compilation
    episodes     training episodes that have ended
    returns      returns of the last RECENT_EPISODES training episodes that have ended
    interrupted  whether Ctrl-C has ended the run early
    lengths      lengths in steps of the last RECENT_EPISODES training episodes of this start of the run

    A callback gets two more:

    steps_per_s  the steps a second since its last call
    learning     what the workers have learned from since its last call
    """

    steps: int
    max_steps: int
    seconds: float
    episodes: int
    returns: list[float]
    interrupted: bool = False
    lengths: Sequence[float] = ()
    steps_per_s: float = 0.0
    learning: Learning | None = None


class EpisodeLog:
    """The training episodes that have ended. Workers add episodes from their threads; one other thread takes them.

    returns  the returns of the last RECENT_EPISODES episodes
    lengths  their lengths in steps; `restore` gives none
    """

    def __init__(self, workers: int) -> None:
        self.returns: deque[float] = deque(maxlen=RECENT_EPISODES)
        self.lengths: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._not_taken: deque[tuple[float, float, float, float]] = deque()
        # A number for each worker, because two threads that add to one number can lose an episode.
        self._counts = np.zeros(workers, np.int64)

    @property
    def count(self) -> int:
        """The number of episodes that have ended."""
        return int(self._counts.sum())

    def restore(self, count: int, returns: list[float]) -> None:
        """Go on after `count` episodes, whose last returns are given. They have been taken."""
        self._counts[0] = count
        self.returns.extend(returns)

    def add(self, worker: int, rows: list[tuple[float, float, float]], seconds: float) -> None:
        """Add episodes of a worker that have ended.

        worker   the number of the worker
        rows     (return, length, T) of each episode
        seconds  wall time since the workers started
        """
        recent = rows[-RECENT_EPISODES:]
        self.returns.extend(score for score, _, _ in recent)
        self.lengths.extend(length for _, length, _ in recent)
        self._not_taken.extend((score, length, seconds, T) for score, length, T in rows)
        self._counts[worker] += len(rows)

    def take(self) -> list[tuple[float, float, float, float]]:
        """Return (return, length, seconds, T) of each episode that has ended since the last call."""
        return [self._not_taken.popleft() for _ in range(len(self._not_taken))]
