"""The processes of a run over several nodes, as actors of Ray: the parameters, and the nodes.

The logic is in `parameter_server.py` and `node.py`. Nothing here imports Ray until it is used.
"""

import os
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from numasync.agent.agent import Agent
from numasync.config import Config
from numasync.distributed.downpour.node import NodeTrainer, Place, Setup, run_node
from numasync.distributed.downpour.parameter_server import Board, ParameterServer, Reply, Report, View, cut
from numasync.distributed.nodes import Node, on_node
from numasync.distributed.ray_cluster import import_ray
from numasync.envs.objects import as_env_id
from numasync.envs.spec import EnvSpec
from numasync.runtime.affinity import allowed_cores

# Ray sends an argument below 100,000 bytes with the call itself. A larger one goes through a store of objects of each
# node, which takes milliseconds more: three times as long for 132,179 parameters, and as long for 677,686.
PIECE, MOST_PIECES = 24_000, 32  # float32 of a piece; a longer vector is sent whole


class ParameterActor(ParameterServer):
    """A ParameterServer that is called with a vector in pieces, see `in_pieces`, and returns pieces."""

    def exchange_pieces(self, report: Report, *pieces: np.ndarray) -> tuple[Any, ...]:
        """Return a Reply and the pieces of theta, as `exchange`."""
        theta, reply = self.exchange(joined(pieces), report)
        return reply, *in_pieces(theta)

    def add_pieces(self, *pieces: np.ndarray) -> tuple[Any, ...]:
        """Return None and the pieces of theta, as `add`."""
        return None, *in_pieces(self.add(joined(pieces)))


class RayLink:
    """Reaches theta in the actors that hold its parts.

    parts  the handles of the actors, in the order of the parts. The first one has the board
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts, self.ray = list(parts), import_ray()

    def join(self, launch: int) -> tuple[np.ndarray, Reply]:
        """See `ParameterServer.join`."""
        first, *others = self.ray.get([self.parts[0].join.remote(launch), *(p.read.remote() for p in self.parts[1:])])
        return joined([first[0], *others]), first[1]

    def exchange(self, delta: np.ndarray, report: Report) -> tuple[np.ndarray, Reply]:
        """See `ParameterServer.exchange`. The first part decides whether the others take theirs too."""
        first, *others = cut(delta, len(self.parts))
        reply, *theta = self.ray.get(send(self.parts[0].exchange_pieces, first, report))
        if not reply.taken:
            return joined([*theta, *self.ray.get([part.read.remote() for part in self.parts[1:]])]), reply
        for answer in [send(part.add_pieces, piece) for part, piece in zip(self.parts[1:], others)]:
            theta += self.ray.get(answer)[1:]
        return joined(theta), reply

    def ask(self, launch: int) -> Reply:
        """See `ParameterServer.ask`."""
        return self.ray.get(self.parts[0].ask.remote(launch))

    def look(self) -> tuple[np.ndarray, View]:
        """See `ParameterServer.look`."""
        first, *others = self.ray.get([self.parts[0].look.remote(), *(part.read.remote() for part in self.parts[1:])])
        return joined([first[0], *others]), first[1]


def send(method: Any, vector: np.ndarray, *before: Any) -> list[Any]:
    """Call a method of an actor with a vector in pieces, and return Ray's references of what it returns.

    method  of a ParameterActor. It takes pieces, and returns one value and the same number of pieces
    vector  float32 (n,)
    before  arguments before the pieces
    """
    pieces = in_pieces(vector)
    return method.options(num_returns=1 + len(pieces)).remote(*before, *pieces)


def in_pieces(vector: np.ndarray) -> list[np.ndarray]:
    """Return views of a vector that Ray sends at once, or the whole of a long one."""
    size = PIECE if vector.size <= MOST_PIECES * PIECE else vector.size
    return [vector[at : at + size] for at in range(0, vector.size, size)]


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return one vector of its parts."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def start_parameters(ray: ModuleType, theta: np.ndarray, shards: int, board: Board) -> list[Any]:
    """Start the actors that hold theta, and return their handles.

    ray     Ray, connected
    theta   the parameters, float32 (n_parameters,)
    shards  how many actors hold them
    board   counts for all of them
    """
    actor = ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(ParameterActor)
    first, *others = cut(theta, shards)
    return [actor.remote(first, board), *(actor.remote(part) for part in others)]


class NodeProcess:
    """A node in a process of its own.

    share  (i, n): this process takes the i-th of n parts of its machine's cores
    """

    def __init__(self, share: tuple[int, int]) -> None:
        i, n = share
        if n > 1 and len(allowed_cores()) >= n:
            os.sched_setaffinity(0, np.array_split(allowed_cores(), n)[i].tolist())

    def about(self) -> tuple[str, int]:
        """Return the name of the machine and the number of this process."""
        return socket.gethostname(), os.getpid()

    def run(
        self, config: Config, spec: EnvSpec, place: Place, setup: Setup, parts: Sequence[Any]
    ) -> tuple[str, str] | None:
        """Train to the end of the run, and return what `run_node` returns.

        config, spec  of the agent: its network holds addresses of this machine's memory, and is built here again
        place         which node this is
        setup         what it begins with
        parts         the handles of the actors that hold theta
        """
        as_env_id(config.env)  # imports what 'module:name' means
        return run_node(NodeTrainer(Agent(config, spec), place, setup), RayLink(parts))


def start_node(ray: ModuleType, node: Node, share: tuple[int, int], reserves: bool) -> Any:
    """Start the process of a node and return its handle.

    ray       Ray, connected
    node      the machine
    share     see `NodeProcess`
    reserves  whether the cores of the machine are reserved, so that Ray gives them to nothing else
    """
    actor = ray.remote(num_cpus=node.cores if reserves else 0, max_restarts=0)(NodeProcess)
    return actor.options(scheduling_strategy=on_node(ray, node.id)).remote(share)
