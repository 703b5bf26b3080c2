"""Measure the most memory that a Pong training with 16 workers has held: soon after its start, and some time later.

The Numba cache is filled first. Compiling, which only the very first start does, takes some 200 MB for a while.
"""

import sys
from typing import Any

try:
    import resource
except ImportError:  # a system that does not count it
    resource = None  # type: ignore[assignment]

from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.startup import FIRST_UPDATE, time_program
from numasync.tools.bench.training import make_trainer, train_for
from numasync.tools.bench.workloads import PONG, find_usable

WORKERS = 16


def measure(options: Options) -> Section:
    """Measure the memory of a Pong training."""
    if not resource:
        return {"rows": [], "summary": {}, "notes": ["This system does not tell how much memory a process has held."]}
    found, notes = find_usable(PONG)
    rows = [measure_memory(env_id, options.seconds) for env_id in found]
    return {"rows": rows, "summary": {}, "notes": notes}


def measure_memory(env_id: str, seconds: float) -> dict[str, Any]:
    """Return the row of one environment, after `seconds` of training."""
    time_program(FIRST_UPDATE.format(env_id))
    trainer = make_trainer(env=env_id, algo="a3c", workers=WORKERS)
    start, end = train_for(trainer, seconds, lambda progress: peak_megabytes())
    return {
        "environment": env_id,
        "algorithm": "a3c",
        "workers": WORKERS,
        "seconds": trainer.clock.seconds,
        "start_megabytes": start,
        "end_megabytes": end,
    }


def peak_megabytes() -> float:
    """Return the most resident memory that this process has held so far, in units of 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
