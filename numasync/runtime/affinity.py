"""The processor's cores: how many this process may use, and one core for each thread."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

# The processor time that a container's processes may use together: microseconds in each period, and the period.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Return how many cores this process may use.

    That is the number of cores in its affinity mask, or less where the quota of its container is smaller. The system
    would stop further threads in the middle of a segment.
    """
    allowed = len(allowed_cores()) or os.cpu_count() or 1
    try:
        quota, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # not a Linux container, or the quota is "max", which means no limit
        return allowed
    return max(min(allowed, quota // period), 1)


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on, or none: only Linux tells them."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def core_per_thread(threads: int) -> list[int] | list[None]:
    """Return a core for each of `threads` threads to be pinned to. None means that the system chooses.

    ALE runs in its own thread and alternates with its worker. Unpinned, the scheduler often puts two busy threads on
    one core and leaves another idle. A pair that is pinned to one core keeps it busy.

    Threads are pinned only where there is one for every core. Two programs that each use a part of the cores would
    otherwise pin their threads to the same ones.
    """
    allowed = allowed_cores()
    return allowed if len(allowed) == threads else [None] * threads


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Pin this thread to a core for the length of a `with` block. None: do nothing.

    Threads and processes that are started inside the block inherit the core and keep it.
    """
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # this process may no longer use that core
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
