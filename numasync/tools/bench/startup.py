"""From a command to its first update: with an empty Numba cache, which compiles everything, and with a full one."""

import os
import subprocess
import sys
import tempfile
import time
from statistics import median

from numasync.tools.bench.measure import in_turn
from numasync.tools.bench.subjects import CARTPOLE
from numasync.tools.bench.training import trainer_of

NOTHING = "import time"
IMPORT = "import time, numasync"
FIRST_UPDATE = "import time; from numasync.tools.bench.startup import first_update; first_update({!r})"


def measure(options):
    readings = {
        "Python alone": lambda: seconds_until_done(NOTHING),
        "import numasync": lambda: seconds_until_done(IMPORT),
    }
    with tempfile.TemporaryDirectory(prefix="numasync-bench-cold-") as cache:
        program = FIRST_UPDATE.format(CARTPOLE)
        cold = seconds_until_done(program, cache)
        readings[f"first update on {CARTPOLE}, warm cache"] = lambda: seconds_until_done(program, cache)
        samples = in_turn(readings, options.repetitions)
    rows = [{"what": what, "seconds": median(seconds)} for what, seconds in samples.items()]
    rows.append({"what": f"first update on {CARTPOLE}, empty cache (once)", "seconds": cold})
    return {"rows": rows, "summary": {}, "notes": []}


def seconds_until_done(program, cache=None):
    """Seconds from the start of a Python process until it has run `program`; its exit does not count."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    command = [sys.executable, "-c", f"{program}; print(time.time())"]
    begin = time.time()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout) - begin


def first_update(env_id):
    """What `numasync train` does until the first segment has been played and learned from."""
    trainer_of(env=env_id, algo="a3c", workers=1, steps=1).train()
