"""The processor's cores: how many this process may use, and a core for each thread where threads take all of them."""

import contextlib
import os
from pathlib import Path

# What a container's processes may use together: microseconds of processor time in each period, and the period.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores():
    """How many cores this process may use: those it may run on, or fewer where its container is granted the time of
    fewer. Threads beyond that would be stopped in the middle of their segments."""
    allowed = len(allowed_cores()) or os.cpu_count() or 1
    try:
        quota, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # no container of Linux, or "max", which is no limit
        return allowed
    return max(min(allowed, quota // period), 1)


def allowed_cores():
    """The numbers of the cores that this process may run on, none where the system does not tell (only Linux does)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def core_per_thread(threads):
    """For each of so many threads the core that it keeps to, or None: wherever the system puts it.

    ALE emulates in a thread of its own, and one of the two, that thread or the worker's, always waits for the other. The
    system often puts what is awake of two such pairs on one core, and another has nothing to do. A pair that keeps to a
    core keeps it busy.

    None where threads are not as many as the cores: two programs that use some of them would choose the same.
    """
    allowed = allowed_cores()
    return allowed if len(allowed) == threads else [None] * threads


@contextlib.contextmanager
def pinned(core):
    """Keep to a core: this thread inside the block, and for good the threads and processes that it starts there. None: no
    core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # the core has been taken from this process since
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
