"""Small Ray clusters for tests: several nodes on this machine, which only this machine can reach."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

STORE_BYTES = 100_000_000
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def free_ports(n: int) -> list[int]:
    """Return ports of this machine that nobody uses."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def be_patient() -> None:
    """Let the nodes that this process starts begin before their helpers for the dashboard do.

    A node waits 15 seconds for the ports of its helpers, and then ends. On a busy machine that is too short. So their
    ports are chosen here.
    """
    from ray._private.node import Node

    if hasattr(Node, "impatient_start_raylet"):
        return
    Node.impatient_start_raylet = Node.start_raylet

    def start_raylet(node: Any, *arguments: Any, **keywords: Any) -> None:
        for name, port in zip(PORTS, free_ports(len(PORTS))):
            setattr(node._ray_params, name, port)
            Path(node._session_dir, f"{name}_{node._node_id}").write_text(str(port))
        node.impatient_start_raylet(*arguments, **keywords)

    Node.start_raylet = start_raylet


def node_arguments(cores: int = 1) -> dict[str, Any]:
    """Return the arguments of a node without a dashboard. cores: how many Ray gives away."""
    address = {"node_ip_address": "127.0.0.2"}
    return {"num_cpus": cores, "object_store_memory": STORE_BYTES, "include_dashboard": False, **address}


@contextmanager
def ray_cluster(nodes: int = 2, cores: int = 1) -> Iterator[Any]:
    """Give a Cluster of Ray with some nodes, and shut it down afterwards. cores: of each node."""
    from ray.cluster_utils import Cluster

    be_patient()
    cluster = Cluster(initialize_head=True, head_node_args=node_arguments(cores))
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**node_arguments(cores))
        yield cluster
    finally:
        cluster.shutdown()
