"""A program in a process of its own: start it, let it train for a turn, end it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from numasync.errors import one_line
from numasync.runtime.affinity import cores
from numasync.tools.bench import PACKAGE, end_session
from numasync.tools.bench.peers.table import Program

SERVE = Path(__file__).parent / "programs" / "serve.py"


class PeerError(RuntimeError):
    """A program cannot be measured: the end of the sentence 'NAME is left out: ...'."""


class Session:
    """A running program.

    program  what runs
    python   the Python that runs a peer; numasync runs in this one
    caches   a folder for compiled code; what is there already is used

    It is a context manager, which ends the program. seconds_to_update: from the start of the process to the first
    update. Raises PeerError where the program fails, now or later.
    """

    def __init__(self, program: Program, python: str, caches: Path) -> None:
        self.python, self.program = python, program
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (it is open until the end)
        own = program.module == "numasync_a3c"
        begin = time.time()
        self.process = subprocess.Popen(
            [sys.executable if own else python, str(SERVE), program.module, json.dumps(options_of(program))],
            env={**os.environ, **environment_of(caches, own), **dict(program.variables)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,  # a terminal sends its signals to this process alone, which ends the program
        )
        try:
            self.seconds_to_update = self.read("first_update") - begin
        except BaseException:
            self.close()
            raise

    def measure(self, seconds: float) -> float:
        """Let it train for some seconds, and return its steps per second."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended, and `read` says why
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
        return self.read("steps_per_s")

    def read(self, key: str) -> float:
        """Return a number of its next reply."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"its program ended with exit code {self.process.wait()}: {self.last_error()}.")
        reply = json.loads(line)
        if "missing" in reply:
            install = f"{self.python} -m pip install {self.program.packages}"
            raise PeerError(f"the package {reply['missing']} is missing; install it with `{install}`.")
        return reply[key]

    def last_error(self) -> str:
        """Return the last line of what it has written to its standard error."""
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return one_line(lines[-1]).rstrip(".") if lines else "it said nothing"

    def close(self) -> None:
        """End the program, and all that it has started."""
        end_session(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()
        self.errors.close()

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End the program."""
        self.close()


def options_of(program: Program) -> dict[str, Any]:
    """Return the options that the program gets."""
    p = program
    common = {"environment": p.environment, "environments": p.environments, "t_max": p.t_max, "cores": cores()}
    return {**common, **dict(p.options)}


def environment_of(caches: Path, own: bool) -> dict[str, str]:
    """Return the variables that choose where compiled code is kept. own: whether the program is numasync's.

    By itself, JAX keeps no compiled code.
    """
    if own:
        paths = filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
        return {"NUMASYNC_CACHE_DIR": str(caches), "PYTHONPATH": os.pathsep.join(paths)}
    return {
        "JAX_COMPILATION_CACHE_DIR": str(caches),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
