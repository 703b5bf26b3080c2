"""A Ray that is made up: its nodes are a list, and its tasks say what a test tells them to say, or run right here."""

from types import SimpleNamespace
from typing import Any

from numasync.distributed.nodes import Node, living_nodes


class LostError(Exception):
    """What Ray raises where a node has died."""


class GoneError(LostError):
    """What Ray raises where a task must run on a node that is dead already."""


class MadeUpRay:
    """A Ray with some nodes of one core. Each task says what the next script says.

    scripts  of the tasks, in the order in which they begin: messages, and errors to raise
    hosts    the addresses of the nodes
    begun    the arguments of the tasks
    places   the ids of their nodes
    """

    exceptions = SimpleNamespace(RayError=LostError, RayTaskError=ZeroDivisionError, TaskUnschedulableError=GoneError)
    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda id, soft: (id, soft))
    )

    def __init__(self, *scripts: Any, hosts: tuple[str, ...] = ("10.0.0.7",)) -> None:
        self.scripts, self.hosts = list(scripts), list(hosts)
        self.begun: list[tuple] = []
        self.places: list[str] = []
        self.cancelled: list[Any] = []

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes as Ray describes them."""
        return [
            {"NodeID": host, "NodeManagerAddress": host, "Resources": {"CPU": 1.0}, "Alive": True}
            for host in self.hosts
        ]

    def remote(self, **_: Any) -> Any:
        """Return what makes tasks of a function."""

        def on(function: Any, scheduling_strategy: tuple[str, bool]) -> Any:
            def begin(*arguments: Any) -> Any:
                self.begun.append(arguments)
                self.places.append(scheduling_strategy[0])
                return self.task(function, *arguments)

            return SimpleNamespace(remote=begin)

        return lambda function: SimpleNamespace(options=lambda **options: on(function, **options))

    def task(self, function: Any, *arguments: Any) -> Any:
        """Return what a task says."""
        return iter(self.scripts.pop(0))

    def wait(self, answers: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        """Return all answers. Each has something to say."""
        return answers, []

    def get(self, message: Any, timeout: float = 0) -> Any:
        """Return what a task has said, or raise it."""
        if isinstance(message, Exception):
            raise message
        return message

    def cancel(self, answers: Any, force: bool) -> None:
        """Write down what is cancelled."""
        self.cancelled.append(answers)


class MadeUpNodes:
    """The nodes of a made-up Ray. All of them fit."""

    cores = 1

    def __init__(self, ray: MadeUpRay) -> None:
        self.ray, self.told = ray, []
        self.on_trouble = self.told.append

    def look(self) -> list[Node]:
        """Return the nodes."""
        return living_nodes(self.ray)
