"""The cache of compiled kernels, used by programs of its own: what they run, and what they say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Prints a number that compiled code has drawn, and how many kernels came out of the cache.
DRAW = """
import numpy as np, numasync
kernel = numasync.uniform.kernel
print(numasync.uniform(np.arange(1, 5, dtype=np.uint64)), sum(kernel.stats.cache_hits.values()))
"""
DRAWN = str((41943041 >> 11) / 2**53)  # of the first published word, see test_rng.py


def begin(
    script: str, folder: Path, cache: Path | None = None, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a script in a new process. folder: its current one. cache: NUMASYNC_CACHE_DIR."""
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMASYNC_CACHE_DIR")}
    given = {"NUMASYNC_CACHE_DIR": str(cache)} if cache else {}
    environment = {**kept, "PYTHONPATH": str(ROOT), **given, **(variables or {})}
    pipes: dict[str, Any] = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=environment, **pipes, **options)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process, and return it with its output."""
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(script: str, folder: Path, cache: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script in a new process to its end. The arguments: see `begin`."""
    return finish(begin(script, folder, cache, **options))


def files(folder: Path, ending: str = "") -> list[Path]:
    """Return the files below a folder, in order."""
    return sorted(path for path in folder.rglob(f"*{ending}") if path.is_file())


def check_sentence(stderr: str, *words: str) -> None:
    """Check that there is one sentence, which says that each start compiles and has these words."""
    assert stderr.count("\n") == 1 and stderr.endswith(".\n"), stderr
    assert stderr.startswith("numasync: compiled code is not cached, so every start compiles again: ")
    assert all(word in stderr for word in words), stderr
