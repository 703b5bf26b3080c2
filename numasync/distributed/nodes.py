"""The nodes of a cluster of Ray: the ones that can play runs, and in one sentence why another one cannot."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numasync
from numasync.errors import InputError, one_line

PROBE_SECONDS = 300.0  # for a node that starts its first process

# Options of a run, by name.
Options = Mapping[str, Any]


class Node(NamedTuple):
    """A living machine of a cluster, or one of several Ray nodes on a machine.

    id     Ray's name of it
    host   its address
    cores  how many cores Ray may give away there
    """

    id: str
    host: str
    cores: int


def living_nodes(ray: ModuleType) -> list[Node]:
    """Return the nodes of the cluster that answer."""
    return [
        Node(node["NodeID"], node["NodeManagerAddress"], int(node["Resources"].get("CPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]


def on_node(ray: ModuleType, id: str) -> Any:
    """Return the scheduling strategy of what must run on a node. id: Ray's name of it."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(id, soft=False)


def check_nodes(ray: ModuleType, cores_needed: int, envs: Sequence[Options] = ()) -> list[Node]:
    """Return the nodes, after a look at each one.

    ray           Ray, connected
    cores_needed  cores that one node must have
    envs          options of runs whose environment each node must be able to make

    Raises InputError where no node has the cores, or one has another Python, numasync or Ray, or lacks a package.
    """
    nodes = [node for node in living_nodes(ray) if node.cores]
    most = max((node.cores for node in nodes), default=0)
    if cores_needed > most:
        raise InputError(f"A run needs {cores_needed} cores; the largest node of the cluster has {most}.")
    for node, answer in [(node, ask(ray, node, envs)) for node in nodes]:
        trouble = find_trouble(ray, node, answer)
        if trouble:
            raise InputError(trouble)
    return nodes


class Nodes:
    """The nodes that can play runs, now. A node that joins the cluster later is looked at before it gets a run.

    ray    Ray, connected
    cores  cores that each run has for itself
    envs   options of runs whose environment a node must be able to make
    fit    nodes that were looked at, see `check_nodes`
    """

    def __init__(self, ray: ModuleType, cores: int, envs: Sequence[Options] = (), fit: Iterable[Node] = ()) -> None:
        self.ray, self.cores, self.envs = ray, cores, envs
        # Is told in a sentence of each node that joins and gets no runs.
        self.on_trouble: Callable[[str], None] = lambda sentence: None
        self._fit = {node.id: True for node in fit}
        self._asked: dict[str, tuple[Any, float]] = {}

    def look(self) -> list[Node]:
        """Return the living nodes that fit, and have new ones look at themselves meanwhile."""
        return [node for node in living_nodes(self.ray) if node.cores >= self.cores and self._is_fit(node)]

    def _is_fit(self, node: Node) -> bool:
        """Return whether a node fits. It does not before it has said so."""
        if node.id in self._fit:
            return self._fit[node.id]
        if node.id not in self._asked:
            self._asked[node.id] = ask(self.ray, node, self.envs), time.monotonic()
        answer, since = self._asked[node.id]
        answered, _ = self.ray.wait([answer], timeout=0)
        if not answered and time.monotonic() - since < PROBE_SECONDS:
            return False
        trouble = find_trouble(self.ray, node, answer, 0)
        self._fit[node.id] = not trouble
        if trouble:
            self.on_trouble(f"A node that has joined gets no runs: {trouble[0].lower()}{trouble[1:]}")
        return not trouble


def ask(ray: ModuleType, node: Node, envs: Sequence[Options]) -> Any:
    """Have a node look at itself, and return Ray's reference of its answer. envs: see `check_nodes`."""
    probe = ray.remote(num_cpus=0, max_retries=0)(make_probe())
    return probe.options(scheduling_strategy=on_node(ray, node.id)).remote([dict(env) for env in envs])


def find_trouble(ray: ModuleType, node: Node, answer: Any, seconds: float = PROBE_SECONDS) -> str:
    """Return in a sentence why a node cannot play runs; "" where it can.

    ray      Ray, connected
    node     the node
    answer   Ray's reference of what it says of itself, see `ask`
    seconds  how long to wait for it
    """
    try:
        found, trouble = ray.get(answer, timeout=seconds)
    except ray.exceptions.GetTimeoutError:
        return f"Node {node.host} of the cluster does not answer in {PROBE_SECONDS:.0f} s."
    except ray.exceptions.RayError as error:
        reason = one_line(str(error).strip().splitlines()[-1])
        return f"Node {node.host} of the cluster cannot run Python: {reason}"
    own = {"Python": ".".join(map(str, sys.version_info[:2])), "Ray": ray.__version__, "numasync": numasync.__version__}
    other = [f"{name} {found[name]} (here {wanted})" for name, wanted in own.items() if found[name] != wanted]
    if other:
        return f"Node {node.host} has {' and '.join(other)}; all nodes need the same versions."
    return f"Node {node.host} cannot play these runs: {trouble}" if trouble else ""


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
