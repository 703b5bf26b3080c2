"""Python as it is where numba, and what a browser lacks, cannot be imported: a program in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Python finds no package of these names any more.
BLOCK = "import sys\nfor name in {names}: sys.modules[name] = None\n"
COMPILER, ENVIRONMENTS = ("numba", "llvmlite"), ("gymnasium", "ale_py")
# NumPy's own threads wait for each other where other tests run.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# What the Python of a browser lacks, besides threads that start.
BROWSER_LACKS = ("fcntl", "resource", "termios", "pwd", "grp", "_multiprocessing", "_posixsubprocess")
NO_THREADS = """
import threading
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
sys.platform = "emscripten"
"""


def run_python(code: str, folder: Path, without: Sequence[str] = ()) -> Any:
    """Run a program in a folder, and return what it prints, from JSON. A warning of NumPy's is an error there."""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", BLOCK.format(names=without) + code]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
