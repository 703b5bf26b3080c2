"""`numasync bench`: how fast this machine runs each part of numasync, from one matrix product to a whole training.

A section a file, and each is measured in a process of its own: with NumPy's BLAS on one thread, which it must be told
before NumPy is imported, and with an empty Numba cache, because Numba's would take old machine code for a kernel
whose imports have changed. A section's `measure(options)` returns a dict: `rows`, each a flat dict; `summary`, a flat
dict of numbers about all rows; and `notes`, sentences.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from numasync.errors import InputError
from numasync.runtime.affinity import cores
from numasync.runtime.checks import check_real_number, check_whole_number
from numasync.runtime.jit import DISABLED
from numasync.tools.bench.machine import machine
from numasync.tools.bench.measure import Options
from numasync.tools.bench.report import machine_lines, section_lines

SECTIONS = {
    "products": "Products: register tiles against NumPy's BLAS, one thread each",
    "layers": "Layers: as training calls them, against NumPy's BLAS on a ready im2col matrix, one thread each",
    "network": "Networks: forward and backward, against the products alone in NumPy's BLAS, one thread each",
    "environments": "Environments alone: random actions, all threads together",
    "training": "Training: actions of all workers together",
    "step": "Where a training step's time goes: a3c, one worker, microseconds per action",
    "startup": "Start-up: from the command on, median",
    "memory": "Memory: the most that a training has held",
}
REPETITIONS = 5
SECONDS = 3.0
MOST_REPETITIONS, MOST_SECONDS, MOST_WORKERS = 1000, 86_400.0, 1024

# Whichever BLAS this NumPy was built with, one of these names is its own.
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
PACKAGE = Path(__file__).parents[2]


def bench(only=None, workers=None, repetitions=REPETITIONS, seconds=SECONDS, as_json=False):
    """Measure and print, as tables or as one JSON object; return what was measured, as a dict.

    only: names of SECTIONS, comma-separated; all by default. workers: numbers of threads, comma-separated; by default
    the powers of 2 up to the number of cores, and half as many again as there are cores. repetitions: how often
    everything is measured, in turn. seconds: of training for each number, over all repetitions. Raises InputError for
    bad input.
    """
    options = checked_options(workers, repetitions, seconds)
    names = chosen_sections(only)
    result = {"machine": machine(), "options": options._asdict()}
    say = silent if as_json else print
    say(*machine_lines(result["machine"]), sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="numasync-bench-") as cache:
        for name in names:
            say(f"\n{SECTIONS[name]} ...", flush=True)
            result[name] = measured_apart(name, options, cache)
            say(*section_lines(result[name]), sep="\n", flush=True)
    if as_json:
        print(json.dumps(result, indent=2), flush=True)
    return result


def silent(*lines, **options):
    pass


def measured_apart(section, options, cache):
    """What the section's `measure` returns, called in a process of its own with the Numba cache in folder `cache`."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]
    own = {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "numasync.tools.bench", section, json.dumps(options._asdict())]
    environment = {**os.environ, **dict.fromkeys(BLAS_THREADS, "1"), **own}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"The process that measured {section} ended with exit code {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def checked_options(workers, repetitions, seconds):
    """The Options of a run. Raises InputError for numbers out of range, or where there is no compiled code to
    measure."""
    if DISABLED:
        raise InputError("numasync bench measures compiled code; unset NUMBA_DISABLE_JIT.")
    check_whole_number("repetitions", repetitions, 1, MOST_REPETITIONS)
    check_real_number("seconds", seconds, 0.01, MOST_SECONDS)
    return Options(repetitions, seconds, chosen_workers(workers) if workers else usual_workers(cores()))


def chosen_workers(text):
    """The numbers of a text such as '1,2,4', in ascending order."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if not 1 <= numbers[0] <= numbers[-1] <= MOST_WORKERS:
        raise InputError(f"workers is {text!r}; it must be whole numbers from 1 to {MOST_WORKERS}, such as 1,2,4.")
    return numbers


def usual_workers(n_cores):
    """1, 2, 4, ... up to the number of cores, and half as many again: where environments emulate in threads of their
    own, a core is idle while its only worker waits."""
    return [2**i for i in range(n_cores.bit_length())] + [n_cores + (n_cores + 1) // 2]


def chosen_sections(text):
    """The names of a text such as 'products,layers', in the order of SECTIONS."""
    if text is None:
        return list(SECTIONS)
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise InputError(f"{name!r} is nothing that bench measures; choose from {', '.join(SECTIONS)}.")
    return [name for name in SECTIONS if name in names]
