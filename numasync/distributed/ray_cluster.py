"""A cluster of Ray: connect to it, and say in one sentence what is wrong with it."""

import contextlib
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType

from numasync.errors import InputError, one_line
from numasync.runtime.affinity import cores

# The address that stands for a cluster of this machine alone, which lives as long as the program.
LOCAL = "local"
# The address that stands for the cluster that runs on this machine.
AUTO = "auto"

CONNECT_SECONDS = 5.0  # for a port that does not answer
# Results travel through this memory. Ray would take a third of the machine.
LOCAL_STORE_BYTES = 100_000_000


def import_ray() -> ModuleType:
    """Return Ray. Raises InputError where it is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns where this is not set
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise InputError('Runs on several machines need Ray; pip install "numasync[ray]" installs it.') from error
    return ray


@contextlib.contextmanager
def connect(address: str) -> Iterator[ModuleType]:
    """Connect this program to a cluster for the length of a `with` block, and give Ray.

    A program that is connected already stays so, whatever the address.

    address  HOST:PORT of the head of a cluster, AUTO for the cluster that runs on this machine, or LOCAL for one that
             is started here and ends with the block

    Raises InputError where Ray is missing, or nothing answers at the address, or it has another version there.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    check_address(address)
    with explain_connection(address), own_signals():
        if address == LOCAL:
            start_local(ray, cores())
        else:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        with silent(ray):
            yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def silent(ray: ModuleType) -> Iterator[None]:
    """Keep Ray's own text out of the output for the length of a `with` block. Its callers say what has happened.

    Ray prints some 40 lines of its log for a node that dies, with colour codes, and has no switch for them.
    """
    worker = ray._private.worker
    printing = getattr(worker, "print_to_stdstream", None)
    if printing is None:
        yield
        return
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printing


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Keep what SIGTERM does here. Ray would end the program on it, past the runs that still save themselves."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start_local(ray: ModuleType, n_cores: int) -> None:
    """Start a cluster of this machine alone. Ray opens its ports to the network. n_cores: what Ray may give away."""
    ray.init(
        LOCAL,
        num_cpus=n_cores,
        object_store_memory=LOCAL_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )


def check_address(address: str) -> None:
    """Raise InputError where an address is none, or nothing answers there. Ray itself would try for minutes."""
    if address in (LOCAL, AUTO):
        return
    host, colon, port = str(address).rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16 or "://" in host:
        raise InputError(
            f"The address of Ray is {address!r}; it must be HOST:PORT of the head of a cluster, such as "
            f"192.168.0.1:6379, {AUTO!r} or {LOCAL!r}."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        reason = one_line(error.strerror or error)
        raise InputError(f"No Ray cluster answers at {address}: {reason} Start one with: ray start --head") from error


@contextlib.contextmanager
def explain_connection(address: str) -> Iterator[None]:
    """Raise InputError, one sentence, where the `with` block cannot connect."""
    try:
        yield
    except ConnectionError as error:
        text = f"No Ray cluster runs at {address!r}; start one with ray start --head, or give {LOCAL!r}."
        raise InputError(text) from error
    except Exception as error:  # Ray raises bare ones too
        if "ersion mismatch" in str(error):
            raise InputError(
                f"The cluster at {address} has other versions than this program. {one_line(error)}"
            ) from error
        raise InputError(f"Ray cannot be used at {address}: {one_line(error)}") from error
