"""The most memory that a Pong training with 16 workers has held, soon after its start and some time later.

With a warm cache: compiling, which the very first start does, takes some 200 MB for a while.
"""

import sys

try:
    import resource
except ImportError:  # a system that does not count it
    resource = None

from numasync.tools.bench.startup import FIRST_UPDATE, seconds_until_done
from numasync.tools.bench.subjects import PONG, usable
from numasync.tools.bench.training import train_for, trainer_of

WORKERS = 16


def measure(options):
    if not resource:
        return {"rows": [], "summary": {}, "notes": ["This system does not say how much memory a process has held."]}
    found, notes = usable(PONG)
    rows = [memory_of(env_id, options.seconds) for env_id in found]
    return {"rows": rows, "summary": {}, "notes": notes}


def memory_of(env_id, seconds):
    seconds_until_done(FIRST_UPDATE.format(env_id))
    trainer = trainer_of(env=env_id, algo="a3c", workers=WORKERS)
    start, end = train_for(trainer, seconds, lambda trainer: peak_megabytes())
    return {
        "environment": env_id,
        "algorithm": "a3c",
        "workers": WORKERS,
        "seconds": trainer.seconds,
        "start_megabytes": start,
        "end_megabytes": end,
    }


def peak_megabytes():
    """The most that this process has held so far, resident, in units of 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
