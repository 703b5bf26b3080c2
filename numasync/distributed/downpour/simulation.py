"""A simulation of many nodes that exchange theta: steps a second, staleness and bytes, for 1 to 1,000 nodes.

It plays events, not steps: when a node sends, when its delta reaches each part of theta, when the answer is back. It
assumes:

1. A node plays its steps at one pace while it plays. The paces of the nodes differ by `spread`, drawn once for each
   node.
2. A node begins an exchange sync_steps steps after it began the one before. Where the answer to that one is not back
   yet, the node waits for it, and plays no further.
3. Each part of theta serves one exchange after the other, in the order in which they arrive. One takes `call_s`, and
   `byte_s` for each byte of the part, in and out. The first part answers before the others are asked.
4. An exchange is on its way for `travel_s`, and `travel_byte_s` for each byte, half of it in each direction. The part
   is free meanwhile. The line of a machine that holds a part carries `line_bytes_s` in each direction. What the nodes'
   own lines carry is left out: a node sends one delta at a time.
5. Nobody dies, and T_max is never reached.
"""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

FLOAT_BYTES = 4


class Costs(NamedTuple):
    """What a simulation knows of a network, a node and a cluster.

    parameters    the parameters of the network
    steps_per_s   the steps a second of a node
    update_steps  the steps between two updates of theta by a worker
    sync_steps    the steps of a node between two exchanges
    call_s        seconds that an actor needs for an exchange of no bytes
    byte_s        seconds that it needs for each byte more, counted once in and once out
    travel_s      seconds that an exchange of no bytes is on its way, there and back
    travel_byte_s seconds more for each byte, counted once in and once out
    line_bytes_s  bytes a second of the line of a machine that holds a part of theta, each way
    spread        standard deviation of the nodes' paces, as a part of the pace
    """

    parameters: int
    steps_per_s: float
    update_steps: float
    sync_steps: int
    call_s: float
    byte_s: float
    travel_s: float = 0.0
    travel_byte_s: float = 0.0
    line_bytes_s: float = 1.25e9
    spread: float = 0.05

    def service_s(self, shards: int) -> float:
        """Return how long one of `shards` parts is busy with an exchange: its processor, or its slower line."""
        part = self.bytes_of_part(shards)
        return max(self.call_s + 2 * part * self.byte_s, part / self.line_bytes_s)

    def one_way_s(self, shards: int) -> float:
        """Return how long a message to one of `shards` parts, or from it, is on its way."""
        return self.travel_s / 2 + self.bytes_of_part(shards) * self.travel_byte_s

    def bytes_of_part(self, shards: int) -> float:
        """Return the bytes of one of `shards` parts of theta."""
        return FLOAT_BYTES * self.parameters / shards


class Outcome(NamedTuple):
    """What a simulation has found.

    steps_per_s  the steps a second of all nodes, which are fewer where nodes wait for exchanges
    staleness    the updates of others between a node's pull and its push, the mean over all pushes
    bytes_per_s  what all nodes send and receive
    busy         the part of the time in which the actors with the parameters are busy
    exchange_s   how long an exchange takes, the mean
    """

    steps_per_s: float
    staleness: float
    bytes_per_s: float
    busy: float
    exchange_s: float


def simulate(costs: Costs, nodes: int, shards: int = 1, exchanges: int = 40, seed: int = 1) -> Outcome:
    """Play `exchanges` exchanges of each node, and measure the second half.

    costs      what is known
    nodes      how many nodes there are
    shards     how many actors hold a part of theta each
    exchanges  how many exchanges each node makes, on average
    seed       of the nodes' paces and of when each one begins
    """
    rng = np.random.default_rng(seed)
    paces = costs.steps_per_s * np.maximum(1 + costs.spread * rng.standard_normal(nodes), 0.1)
    service, one_way = costs.service_s(shards), costs.one_way_s(shards)
    after = 0.0 if shards == 1 else service + 2 * one_way  # of the other parts, after the first has answered
    free = 0.0  # when the first part can take the next exchange; the others get the same ones in the same order
    starts = rng.random(nodes) * costs.sync_steps / paces
    events = [(float(start), node) for node, start in enumerate(starts)]
    heapq.heapify(events)
    # The updates of all nodes, and how many of them each node has seen.
    seen, total = np.zeros(nodes), 0.0
    measured: list[tuple[float, float, float]] = []
    half = exchanges * nodes // 2
    for _ in range(2 * half or 1):
        now, node = heapq.heappop(events)
        begun = max(now + one_way, free)
        free = begun + service
        back = free + one_way + after
        measured.append((now, total - seen[node], back - now))
        total += costs.sync_steps / costs.update_steps
        seen[node] = total
        heapq.heappush(events, (max(now + costs.sync_steps / paces[node], back), node))
    table = np.array(measured[half:])
    seconds = max(float(table[-1, 0] - table[0, 0]), 1e-9)
    rate = (len(table) - 1) / seconds
    return Outcome(
        steps_per_s=rate * costs.sync_steps,
        staleness=float(table[:, 1].mean()),
        bytes_per_s=2 * FLOAT_BYTES * costs.parameters * rate,
        busy=min(rate * service, 1.0),
        exchange_s=float(table[:, 2].mean()),
    )


def saturated_at(costs: Costs, shards: int = 1) -> float:
    """Return the number of nodes from which on the parts are always busy, so that nodes wait.

    Each node asks sync_steps / steps_per_s apart, and one exchange keeps the parts busy for service_s.
    """
    return costs.sync_steps / costs.steps_per_s / costs.service_s(shards)


def table_of(costs: Costs, nodes: Sequence[int], shards: int = 1) -> list[dict[str, Any]]:
    """Return what `simulate` finds for each number of nodes."""
    return [{"nodes": n, "shards": shards, **simulate(costs, n, shards)._asdict()} for n in nodes]
