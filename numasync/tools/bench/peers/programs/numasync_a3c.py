"""numasync's A3C with its preset: one worker for each core.

Options: environment, an id; t_max; cores.
"""

import time
from typing import Any

from numasync.tools.bench.training import TimedTraining, make_trainer
from numasync.training.supervisor import Supervisor


class Training:
    """The training. Its fields are its options and what `bench` measures trainings with."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.workers = options["cores"]
        self.given: dict[str, Any] = {"env": options["environment"], "t_max": options["t_max"]}

    def update(self) -> float:
        """Train as `numasync train` does until there was an update. Return when it was made."""
        Supervisor(make_trainer(algo="a3c", workers=self.workers, steps=1, **self.given)).run()
        updated = time.time()
        self.timed = TimedTraining(self.given["env"], "a3c", {"t_max": self.given["t_max"]})
        return updated

    def measure(self, seconds: float) -> float:
        """Train for some seconds from the last parameters on. Return the steps per second of all workers."""
        return self.timed.measure_speed(self.workers, seconds)

    def close(self) -> None:
        """Do nothing: a training ends with its turn."""
