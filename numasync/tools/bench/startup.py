"""Measure the time from a command to its first update, with a full and with an empty cache."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from statistics import median

from numasync.tools.bench.measure import take_turns
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.training import make_trainer
from numasync.tools.bench.workloads import CARTPOLE
from numasync.training.supervisor import Supervisor

NOTHING = "import time"
IMPORT = "import time, numasync"
FIRST_UPDATE = "import time; from numasync.tools.bench.startup import run_first_update; run_first_update({!r})"


def measure(options: Options) -> Section:
    """Measure three starts of Python in turn, and one first update with an empty cache."""
    readings = {
        "Python alone": partial(time_program, NOTHING),
        "import numasync": partial(time_program, IMPORT),
    }
    with tempfile.TemporaryDirectory(prefix="numasync-bench-cold-") as cache:
        program = FIRST_UPDATE.format(CARTPOLE)
        cold = time_program(program, cache)
        readings[f"first update on {CARTPOLE}, warm cache"] = partial(time_program, program, cache)
        samples = take_turns(readings, options.repetitions)
    rows = [{"what": what, "seconds": median(seconds)} for what, seconds in samples.items()]
    rows.append({"what": f"first update on {CARTPOLE}, empty cache (once)", "seconds": cold})
    return {"rows": rows, "summary": {}, "notes": []}


def time_program(program: str, cache: str | None = None) -> float:
    """Return the seconds from the start of a Python process until it has run `program`. Its exit does not count.

    cache  the folder of its cache of kernels; None: the one of this process
    """
    environment = {**os.environ, **({"NUMASYNC_CACHE_DIR": cache} if cache else {})}
    command = [sys.executable, "-c", f"{program}; print(time.time())"]
    begin = time.time()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout) - begin


def run_first_update(env_id: str) -> None:
    """Do what `numasync train` does until it has played the first segment and learned from it."""
    Supervisor(make_trainer(env=env_id, algo="a3c", workers=1, steps=1)).run()
