"""Where many runs are played: processes of this machine, a cluster of Ray, or an executor that the caller has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from numasync.distributed.pool import RETRIES, Playing, ray_pool
from numasync.distributed.ray_cluster import check_address, import_ray
from numasync.errors import InputError
from numasync.runtime.affinity import cores
from numasync.runtime.checks import as_whole_number, check_method, check_text
from numasync.tools.studies.execution import RunExecutor, process_pool

MOST_JOBS = 1024


class Place(NamedTuple):
    """Where runs are played.

    jobs           the number of processes of this machine
    executor       plays the runs instead; it has the `submit` of concurrent.futures.Executor
    ray            the address of a cluster that plays them instead
    cores_per_run  the cores that a run has for itself there
    retries        how often a run that is lost with its node goes on there
    """

    jobs: int
    executor: RunExecutor | None
    ray: str | None
    cores_per_run: int
    retries: int


def choose_place(
    jobs: int | None,
    executor: RunExecutor | None,
    ray: str | None = None,
    cores_per_run: int | None = None,
    retries: int | None = None,
) -> Place:
    """Return the Place that is asked for, with defaults for None.

    Raises InputError for bad input, where Ray is needed and missing, and where no cluster answers.
    """
    most = as_whole_number("jobs", cores() if jobs is None else jobs, 1, MOST_JOBS)
    if executor is not None:
        check_method("executor", executor, "submit", "an executor, with the submit of concurrent.futures.Executor")
    if ray is not None:
        check_text("ray", ray)
        if executor is not None or jobs is not None:
            raise InputError(f"ray and {'jobs' if executor is None else 'executor'} exclude each other; give one.")
    elif cores_per_run is not None or retries is not None:
        name = "retries" if cores_per_run is None else "cores_per_run"
        raise InputError(f"{name} is for runs on a cluster; give ray too, its address.")
    own_cores = as_whole_number("cores_per_run", 1 if cores_per_run is None else cores_per_run, 1, MOST_JOBS)
    lost = as_whole_number("retries", RETRIES if retries is None else retries, 0, MOST_JOBS)
    if ray is not None:
        import_ray()
        check_address(ray)
    return Place(most, executor, ray, own_cores, lost)


class Follower(Protocol):
    """What prints how the runs on a cluster get on. Both methods are called from another thread."""

    def show_playing(self, playing: Sequence[Playing]) -> None:
        """Say how far the runs are, if it is time to."""

    def print_lines(self, *lines: str) -> None:
        """Print lines."""


@contextmanager
def open_place(
    place: Place, runs: int, follower: Follower, envs: Sequence[dict[str, Any]] = ()
) -> Iterator[RunExecutor]:
    """Give the executor of a place, for the length of a `with` block.

    place     where runs are played
    runs      how many there are
    follower  is told how they get on where they are on a cluster
    envs      options whose environments each node of a cluster must be able to make
    """
    if place.executor is not None:
        yield place.executor
    elif place.ray is not None:
        with ray_pool(place.ray, place.cores_per_run, place.retries, envs) as pool:
            pool.on_progress, pool.nodes.on_trouble = follower.show_playing, follower.print_lines
            yield pool
    else:
        with process_pool(min(place.jobs, runs)) as processes:
            yield processes
