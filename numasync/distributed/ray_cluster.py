"""A cluster of Ray: connect to it, look at its nodes, and say in one sentence what is wrong with them."""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numasync
from numasync.errors import InputError, one_line
from numasync.runtime.affinity import cores

# The address that stands for a cluster of this machine alone, which lives as long as the program.
LOCAL = "local"
# The address that stands for the cluster that runs on this machine.
AUTO = "auto"

CONNECT_SECONDS = 5.0  # for a port that does not answer
PROBE_SECONDS = 300.0  # for a node that starts its first process
# Results travel through this memory. Ray would take a third of the machine.
LOCAL_STORE_BYTES = 100_000_000


class Node(NamedTuple):
    """A living machine of a cluster, or one of several Ray nodes on a machine.

    id     Ray's name of it
    host   its address
    cores  how many cores Ray may give away there
    """

    id: str
    host: str
    cores: int


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
        yield ray
    finally:
        ray.shutdown()


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


def living_nodes(ray: ModuleType) -> list[Node]:
    """Return the nodes of the cluster that answer."""
    return [
        Node(node["NodeID"], node["NodeManagerAddress"], int(node["Resources"].get("CPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]


def on_node(ray: ModuleType, node: Node) -> Any:
    """Return the scheduling strategy of what must run on a node."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)


def check_nodes(ray: ModuleType, cores_needed: int, envs: Sequence[Mapping[str, Any]] = ()) -> list[Node]:
    """Return the nodes, after a look at each one.

    ray           Ray, connected
    cores_needed  cores that one node must have
    envs          options of runs, by name, whose environment each node must be able to make

    Raises InputError where no node has the cores, or one has another Python, numasync or Ray, or lacks a package.
    """
    nodes = [node for node in living_nodes(ray) if node.cores]
    most = max((node.cores for node in nodes), default=0)
    if cores_needed > most:
        raise InputError(f"A run needs {cores_needed} cores; the largest node of the cluster has {most}.")
    task = ray.remote(num_cpus=0, max_retries=0)(make_probe())
    own = {"Python": ".".join(map(str, sys.version_info[:2])), "Ray": ray.__version__, "numasync": numasync.__version__}
    wanted_envs = [dict(env) for env in envs]
    asked = [(node, task.options(scheduling_strategy=on_node(ray, node)).remote(wanted_envs)) for node in nodes]
    for node, answer in asked:
        try:
            found, trouble = ray.get(answer, timeout=PROBE_SECONDS)
        except ray.exceptions.GetTimeoutError as error:
            raise InputError(f"Node {node.host} of the cluster does not answer in {PROBE_SECONDS:.0f} s.") from error
        except ray.exceptions.RayError as error:
            reason = one_line(str(error).strip().splitlines()[-1])
            raise InputError(f"Node {node.host} of the cluster cannot run Python: {reason}") from error
        other = [f"{name} {found[name]} (here {wanted})" for name, wanted in own.items() if found[name] != wanted]
        if other:
            raise InputError(f"Node {node.host} has {' and '.join(other)}; all nodes need the same versions.")
        if trouble:
            raise InputError(f"Node {node.host} cannot play these runs: {trouble}")
    return nodes


def make_probe() -> Callable[[list[dict[str, Any]]], tuple[dict[str, str], str]]:
    """Return a function that looks at the node it runs on.

    It is made here, inside another function, so that Ray sends its code: a node without numasync can run it too.
    """

    def probe(envs: list[dict[str, Any]]) -> tuple[dict[str, str], str]:
        import sys

        import ray

        found = {"Python": ".".join(map(str, sys.version_info[:2])), "Ray": ray.__version__, "numasync": "missing"}
        try:
            import numasync
            from numasync.agent.environment import make_env_of
        except ImportError as error:
            return found, str(error)
        found["numasync"] = numasync.__version__
        for env in envs:
            try:
                make_env_of(env).close()
            except Exception as error:
                return found, str(error)
        return found, ""

    return probe
