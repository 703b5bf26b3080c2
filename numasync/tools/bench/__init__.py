"""`numasync bench`: measure how fast this machine runs each part of numasync, from one matrix product to a training.

A section is one file. Each is measured in a process of its own, for two reasons: NumPy's BLAS must be told to use one
thread before NumPy is imported, and the Numba cache must be empty, because Numba does not see a change in a kernel's
imports and would run old machine code. A section's `measure(options)` returns a Section, see `section.py`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from numasync.errors import InputError, WorkerError
from numasync.runtime.affinity import cores
from numasync.runtime.checks import as_real_number, as_whole_number, parse_number
from numasync.runtime.hints import advise
from numasync.runtime.jit import DISABLED, INSTALLED
from numasync.tools.bench.machine import describe_machine
from numasync.tools.bench.report import machine_lines, section_lines
from numasync.tools.bench.section import Options, Section

SECTIONS = {
    "products": "Products: register tiles against NumPy's BLAS, one thread each",
    "layers": "Layers: as training calls them, against NumPy's BLAS on a ready im2col matrix, one thread each",
    "network": "Networks: forward and backward, against the products alone in NumPy's BLAS, one thread each",
    "environments": "Environments alone: steps of random players, all threads together",
    "training": "Training: steps of all workers together",
    "step": "Where a training step's time goes: a3c, one worker, microseconds per step",
    "startup": "Start-up: seconds from the start of a command, median",
    "memory": "Memory: the most that a training has held",
}
REPETITIONS = 5
SECONDS = 3.0
MAX_REPETITIONS, MAX_SECONDS, MAX_WORKERS = 1000, 86_400.0, 1024

# Each BLAS reads one of these names. Which BLAS this NumPy was built with does not matter.
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
PACKAGE = Path(__file__).parents[2]


def bench(
    only: str | None = None,
    workers: str | None = None,
    repetitions: int = REPETITIONS,
    seconds: float = SECONDS,
    as_json: bool = False,
) -> dict[str, Any]:
    """Measure the sections, print the results, and return them with the machine and the options.

    only         names of SECTIONS, separated by commas; None: all of them
    workers      numbers of threads, separated by commas; None: see `default_workers`
    repetitions  how often everything is measured, in turn
    seconds      seconds of training for each number, over all repetitions
    as_json      print one JSON object at the end, and no tables

    Raises InputError for bad input.
    """
    options = parse_options(workers, repetitions, seconds)
    names = parse_sections(only)
    result: dict[str, Any] = {"machine": describe_machine(), "options": options._asdict()}
    say = print_nothing if as_json else print
    say(*machine_lines(result["machine"]), sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="numasync-bench-") as cache:
        for name in names:
            say(f"\n{SECTIONS[name]} ...", flush=True)
            result[name] = measure_in_process(name, options, cache)
            say(*section_lines(result[name]), sep="\n", flush=True)
    if as_json:
        print(json.dumps(result, indent=2), flush=True)
    return result


def print_nothing(*lines: str, **options: Any) -> None:
    """Take the arguments of `print`, and do nothing."""


def measure_in_process(section: str, options: Options, cache: str) -> Section:
    """Call a section's `measure` in a process of its own and return the result.

    section  one of SECTIONS
    options  what `measure` gets
    cache    the folder of the process's cache of kernels

    Raises WorkerError where the process fails.
    """
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]
    own = {"NUMASYNC_CACHE_DIR": cache, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "numasync.tools.bench", section, json.dumps(options._asdict())]
    environment = {**os.environ, **dict.fromkeys(BLAS_THREADS, "1"), **own}
    environment["TMPDIR"] = cache  # what the process leaves there goes with the cache
    # A session of its own: a terminal sends its signals to this process alone, which ends all that it has started.
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = process.communicate()
    except BaseException:
        end_session(process)
        raise
    if process.returncode:
        raise WorkerError(f"The process that measured {section} ended with exit code {process.returncode}.")
    return json.loads(output.splitlines()[-1])


def end_session(process: subprocess.Popen) -> None:
    """End a process that leads a session, and all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def parse_options(workers: str | None, repetitions: int, seconds: float) -> Options:
    """Return the Options of a run.

    Raises InputError for a number out of range, and where Numba is disabled, so that no code is compiled.
    """
    if DISABLED:
        change = "unset NUMBA_DISABLE_JIT" if INSTALLED else "install Numba"
        raise InputError(f"numasync bench measures compiled code; {change}.")
    repetitions = as_whole_number("repetitions", repetitions, 1, MAX_REPETITIONS)
    seconds = as_real_number("seconds", seconds, 0.01, MAX_SECONDS)
    return Options(repetitions, seconds, parse_workers(workers) if workers is not None else default_workers(cores()))


def parse_workers(text: str) -> list[int]:
    """Return the numbers of a text such as '1,2,4' in ascending order. Raises InputError for another text."""
    try:
        return sorted({as_whole_number("workers", parse_number(part), 1, MAX_WORKERS) for part in text.split(",")})
    except ValueError as error:  # InputError is one
        must = f"it must be whole numbers from 1 to {MAX_WORKERS}, such as 1,2,4"
        raise InputError(f"workers is {text!r}; {must}.") from error


def default_workers(n_cores: int) -> list[int]:
    """Return the powers of 2 up to the number of cores, and 1.5 times the cores, rounded up.

    More workers than cores can pay: where an environment emulates in a thread of its own, a core is idle while its only
    worker waits.
    """
    return [2**i for i in range(n_cores.bit_length())] + [n_cores + (n_cores + 1) // 2]


def parse_sections(text: str | None) -> list[str]:
    """Return the names of a text such as 'products,layers' in the order of SECTIONS. None means all of them.

    Raises InputError for a name that is not in SECTIONS.
    """
    if text is None:
        return list(SECTIONS)
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise InputError(f"bench does not measure {name!r}; {advise(name, SECTIONS)}.")
    return [name for name in SECTIONS if name in names]
