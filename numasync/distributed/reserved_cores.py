"""Cores of a machine that one task has for itself. Tasks of all programs of a user on the machine agree on them.

Each core has a file, and who holds its lock has the core. The system lets go of the lock when a process ends, however.
"""

import contextlib
import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from numasync.runtime.affinity import allowed_cores
from numasync.runtime.files import lock


def locks_folder() -> Path:
    """Return the folder with the locks of this user's cores. It is made."""
    folder = Path(tempfile.gettempdir(), f"numasync-cores-{getpass.getuser()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def reserved_cores(n: int) -> Iterator[set[int]]:
    """Reserve n cores for the length of a `with` block, and give their numbers.

    Gives an empty set where fewer are free, because Ray was told of more cores than the machine has, or where the
    system does not say which cores there are. The system then chooses.
    """
    held: dict[int, int] = {}
    try:
        with contextlib.suppress(OSError):
            folder = locks_folder()
            for core in allowed_cores():
                if len(held) < n:
                    handle = os.open(folder / f"{core}.lock", os.O_RDWR | os.O_CREAT, 0o600)
                    if lock(handle):
                        held[core] = handle
                    else:
                        os.close(handle)
        yield set(held) if len(held) == n else set()
    finally:
        for handle in held.values():
            os.close(handle)


def stay_on(cores: set[int]) -> None:
    """Keep this thread, and what it starts, on some cores. An empty set: do nothing."""
    if cores:
        os.sched_setaffinity(0, cores)
