"""Small Ray clusters for tests: several nodes on this machine."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

STORE_BYTES = 100_000_000
START_SECONDS = 200
# Ray gives a process 60 seconds to start. On a busy machine it takes longer, and a program then waits for ever.
SYSTEM = {"worker_register_timeout_seconds": 600}
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def free_ports(n: int) -> list[int]:
    """Return ports of this machine that nobody uses."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def be_patient() -> None:
    """Let the nodes that this process starts begin on a busy machine too, and without what a test does not need.

    A node waits 15 seconds for the ports of its helpers for the dashboard, and then ends. So their ports are chosen
    here. Ray waits 30 seconds for a node. A head starts three more programs in Python, which take the time of the node.
    """
    from ray._private import services
    from ray._private.node import Node

    if hasattr(Node, "impatient_start_raylet"):
        return
    Node.impatient_start_raylet = Node.start_raylet
    impatient_get_node = services.get_node

    def start_raylet(node: Any, *arguments: Any, **keywords: Any) -> None:
        for name, port in zip(PORTS, free_ports(len(PORTS))):
            setattr(node._ray_params, name, port)
            Path(node._session_dir, f"{name}_{node._node_id}").write_text(str(port))
        node.impatient_start_raylet(*arguments, **keywords)

    def get_node(*arguments: Any) -> Any:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return impatient_get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    Node.start_raylet, services.get_node = start_raylet, get_node
    Node.start_api_server = Node.start_monitor = Node.start_log_monitor = lambda *_, **__: None


def node_arguments(cores: int = 1) -> dict[str, Any]:
    """Return the arguments of a node without a dashboard. cores: how many Ray gives away."""
    address = {"node_ip_address": "127.0.0.2"}
    return {"num_cpus": cores, "object_store_memory": STORE_BYTES, "include_dashboard": False, **address}


@contextmanager
def ray_cluster(nodes: int = 2, cores: int = 1, head_cores: int | None = None) -> Iterator[Any]:
    """Give a Cluster of Ray with some nodes, and shut it down afterwards.

    nodes       how many, with the head
    cores       of each node
    head_cores  of the head, where it has another number
    """
    from ray.cluster_utils import Cluster

    be_patient()
    head = node_arguments(cores if head_cores is None else head_cores)
    cluster = Cluster(initialize_head=True, head_node_args={**head, "_system_config": SYSTEM})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**node_arguments(cores))
        yield cluster
    finally:
        cluster.shutdown()
