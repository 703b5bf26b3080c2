"""The processor's cores: how many this process may use, and one core for each thread."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from numasync.runtime.threads import HAS_THREADS

# Where Linux shows the control groups of processes, and says in which groups this process is.
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use.

    That is the number of cores in its affinity mask, or less where the quota of its container is smaller. The system
    would stop further threads in the middle of a segment. Without threads a process uses one core.
    """
    if not HAS_THREADS:
        return 1
    allowed = len(allowed_cores()) or os.cpu_count() or 1
    return max(min([allowed, *(int(quota) for quota in quotas())]), 1)


def quotas() -> Iterator[float]:
    """Yield every limit on the cores of this process, in cores: of its control groups, and of the groups around them.

    In a container the path of a group may be the host's, which does not exist inside. The top folder is then the
    container's own group.
    """
    for folder in cgroup_folders():
        for name in ("cpu.max", "cpu.cfs_quota_us"):  # version 2, version 1
            try:
                words = (folder / name).read_text().split()
                if name == "cpu.cfs_quota_us":
                    words += (folder / "cpu.cfs_period_us").read_text().split()
                quota, period = map(int, words)
            except (OSError, ValueError):  # there is no such file, or the quota is "max", which means no limit
                continue
            if quota > 0 and period > 0:  # in version 1, -1 means no limit
                yield quota / period


def cgroup_folders() -> set[Path]:
    """Return the folders of the control groups that may limit this process's processor time."""
    # A line of the file is 'number:controllers:path'; the one of version 2 has no controllers.
    lines = []
    with contextlib.suppress(OSError, ValueError):
        lines = [line.split(":", 2) for line in OWN_CGROUPS.read_text().splitlines()]
    paths = {controllers: path for _, controllers, path in (line for line in lines if len(line) == 3)}
    folders: set[Path] = set()
    for controllers, tops in {"": ("", "unified"), "cpu": ("cpu", "cpu,cpuacct", "cpuacct,cpu")}.items():
        named = [path for names, path in paths.items() if controllers in names.split(",")]
        for top in tops:
            for path in (*named, "/"):
                folder = CGROUPS / top / path.lstrip("/")
                folders.update(f for f in (folder, *folder.parents) if f.is_relative_to(CGROUPS / top))
    return folders


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
