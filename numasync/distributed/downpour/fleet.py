"""The nodes of a run: each is started, watched, and started again where it has died."""

import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from numasync.agent.agent import Agent
from numasync.distributed.downpour.node import Place, Setup
from numasync.distributed.downpour.ray_actors import RayLink, start_node
from numasync.distributed.nodes import Node, Nodes
from numasync.distributed.ray_cluster import LOCAL
from numasync.errors import InputError, NotFiniteError, WorkerError, one_line

# A run whose nodes die more often does not start another one.
MOST_DEATHS = 20
RETRY_SECONDS = 2.0

ERRORS = {error.__name__: error for error in (InputError, NotFiniteError, WorkerError)}


class Launch(NamedTuple):
    """A node that runs. launch: its number. node: its number among the nodes. process: its actor."""

    launch: int
    node: int
    process: Any
    machine: Node


class Fleet:
    """The nodes of a run.

    ray         Ray, connected
    nodes       the nodes of the cluster that can play the run, now
    machines    the machine of each node
    agent       the agent of the run
    setup       what a node begins with. The program renews it, for the nodes that take the place of others
    link        how to reach the parameters
    first       the number of the first launch
    on_trouble  (sentence): called where a node has died
    """

    def __init__(
        self,
        ray: ModuleType,
        nodes: Nodes,
        machines: Sequence[Node],
        agent: Agent,
        setup: Setup,
        link: RayLink,
        first: int,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.ray, self.nodes, self.machines, self.agent, self.setup = ray, nodes, list(machines), agent, setup
        self.link, self.launches, self.on_trouble = link, first, on_trouble
        self.running: dict[Any, Launch] = {}
        self.missing: list[int] = []
        self.deaths = 0
        self.tried = 0.0

    def start(self) -> None:
        """Start all nodes."""
        for index in range(len(self.machines)):
            self._launch(index)

    def _launch(self, index: int) -> None:
        """Start a node on its machine."""
        config, machine = self.agent.config, self.machines[index]
        beside = [i for i, other in enumerate(self.machines) if other.host == machine.host]
        process = start_node(self.ray, machine, (beside.index(index), len(beside)), config.ray != LOCAL)
        place = Place(index, len(self.machines), self.launches)
        call = process.run.remote(config, self.agent.spec, place, self.setup, self.link.parts)
        self.running[call] = Launch(self.launches, index, process, machine)
        self.launches += 1

    def check(self, seconds: float, replaces: bool) -> bool:
        """Wait a moment, and return whether a node still runs.

        seconds   how long to wait at most
        replaces  whether a node that has died is started again

        Raises the error of a node that ends the whole run, and WorkerError where no node is left.
        """
        if self.running:
            ended, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=seconds)
        else:
            ended = []
            time.sleep(seconds)
        for call in ended:
            self._take_end(call, self.running.pop(call))
        if replaces and self.missing and time.monotonic() - self.tried > RETRY_SECONDS:
            self.tried = time.monotonic()
            self._replace()
        return bool(self.running) or (replaces and bool(self.missing))

    def _take_end(self, call: Any, launch: Launch) -> None:
        try:
            error = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as failure:
            if isinstance(failure.cause, self.ray.exceptions.RayActorError):
                raise WorkerError("The process that held the parameters has died.") from failure
            raise WorkerError(f"Node {launch.node} failed: {last_line(failure)}") from failure
        except self.ray.exceptions.RayError:
            self._note_death(launch)
            return
        if error:
            name, text = error
            raise ERRORS.get(name, WorkerError)(f"Node {launch.node}: {text}" if len(self.machines) > 1 else text)

    def _note_death(self, launch: Launch) -> None:
        self.deaths += 1
        self.missing.append(launch.node)
        self.link.parts[0].forget.remote(launch.launch)
        steps = "its steps since its last exchange are lost"
        self.on_trouble(f"Node {launch.node} on {launch.machine.host} has died (death {self.deaths}); {steps}.")

    def _replace(self) -> None:
        """Start the missing nodes again where a machine is free. Raises WorkerError where too many have died."""
        if self.deaths > MOST_DEATHS:
            if not self.running:
                raise WorkerError(f"All nodes have died, and {self.deaths} have died in all.")
            return
        taken = {launch.machine.id for launch in self.running.values()}
        living = self.nodes.look()
        for index in list(self.missing):
            free = [node for node in living if self.agent.config.ray == LOCAL or node.id not in taken]
            if not free:
                return
            # Its own machine, if only its process has died.
            self.machines[index] = min(free, key=lambda node: node.id != self.machines[index].id)
            taken.add(self.machines[index].id)
            self.missing.remove(index)
            self._launch(index)

    def end(self) -> None:
        """End the processes of all nodes at once."""
        for launch in self.running.values():
            self.ray.kill(launch.process)
        self.running.clear()


def choose_machines(nodes: Sequence[Node], wanted: int, address: str) -> list[Node]:
    """Return a machine for each node of a run.

    nodes    the nodes of the cluster
    wanted   how many the run needs
    address  of the cluster. On LOCAL, the nodes are processes of this machine

    Raises InputError where the cluster has fewer.
    """
    if address == LOCAL:
        return [nodes[0]] * wanted
    if len(nodes) < wanted:
        raise InputError(f"The run needs {wanted} nodes; the cluster at {address} has {len(nodes)}.")
    return list(nodes[:wanted])


def last_line(error: BaseException) -> str:
    """Return the last line of what Ray says of an error, as the end of a sentence."""
    return one_line(str(error).strip().splitlines()[-1])
