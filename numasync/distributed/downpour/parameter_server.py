"""The parameters that several nodes share, and what the nodes have done. Plain Python; `ray_actors.py` makes actors.

A node trains on its own copy of theta. It comes here every sync_steps steps, with what it has changed since its last
visit, and takes home what the others have changed meanwhile:

    sent       = theta_node                     at the node
    delta      = sent - base                    base: theta as the node found it here at its last visit
    theta      <- theta + w delta               here
    theta_node <- theta_node + (theta - sent)   at the node, whose threads may have moved theta_node since
    base       <- theta

That is Downpour SGD (Dean et al. 2012) with deltas in the place of gradients. Gorila (Nair et al. 2015) learned DQN
like this. w is 1 for two nodes and 2 / N for N, see `node.weight_of`: then N nodes that come late do not overshoot
together. A delta that comes far too late is not taken, as in Gorila.

A large network is cut into parts, each in a `ParameterServer` of its own. One `Board` counts for all.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numasync.learner.counters import COLUMNS, UPDATES

# A node that is ready waits this long for the others, whose compilation may take longer.
PATIENCE_SECONDS = 60.0

# Where all nodes keep pace, the others make (nodes - 1) * sync_steps steps between two visits of a node. A delta is too
# late where they have made more than TOO_LATE times as many.
TOO_LATE = 20


class Report(NamedTuple):
    """What a node has done since it was launched, without what came too late. A node sends it with each delta.

    launch    the number of its launch, see `Board`
    steps     its own steps, over all its workers
    learned   float64 (COLUMNS,): what its workers have counted, see learner/counters.py
    episodes  float64 (n, 3): return, length and T of the episodes that have ended since the last report
    bytes     what it has sent and received of theta
    seconds   how long its exchanges have taken, all together
    g         the mean of its optimiser's memory, (n_parameters,), where the last Reply asked for it
    """

    launch: int
    steps: int
    learned: np.ndarray
    episodes: np.ndarray
    bytes: int = 0
    seconds: float = 0.0
    g: np.ndarray | None = None


class Reply(NamedTuple):
    """What a node learns of the others.

    others   the steps of all other nodes, and of the run before it was resumed
    begins   whether the nodes may begin
    stops    whether the node must stop
    wants_g  whether the next report must have g
    taken    whether the delta was added; False where it came too late
    """

    others: int
    begins: bool = False
    stops: bool = False
    wants_g: bool = False
    taken: bool = True


class View(NamedTuple):
    """What the board shows to the program that has started the run.

    steps     T, the steps of all nodes that have arrived
    seconds   since the nodes have begun; 0 before
    learned   float64 (COLUMNS,): the sum over all nodes
    episodes  as in Report, of all nodes since the last view
    g         the mean of the last g of each node; None where there is none
    measured  what result.json says of the exchanges
    """

    steps: int
    seconds: float
    learned: np.ndarray
    episodes: np.ndarray
    g: np.ndarray | None
    measured: dict[str, Any]


class Board:
    """Counts what the nodes have done, and tells each node of the others.

    Each start of a node is a launch with a number of its own. What a node has sent stays, also where it dies. T counts
    what has arrived here.

    nodes       how many nodes begin together
    sync_steps  the steps of a node between two exchanges
    before      the steps of the run before it was resumed
    clock       returns seconds; only differences matter
    """

    def __init__(
        self, nodes: int, sync_steps: int, before: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.nodes, self.before, self.clock = nodes, before, clock
        self.most_missed = TOO_LATE * sync_steps * max(nodes - 1, 1)  # steps of others between two visits
        self.reports: dict[int, Report] = {}
        self.stopping = False
        self.first: float | None = None  # when the first node was ready
        self.began: float | None = None
        self._episodes: list[np.ndarray] = []
        self._g: dict[int, np.ndarray] = {}
        self._owing: set[int] = set()  # launches that shall send their g
        self._seen: dict[int, tuple[int, int]] = {}  # updates and steps of all nodes at the last visit of each launch
        self._staleness: list[int] = [0, 0, 0]  # visits, sum, largest
        self._late: list[int] = [0, 0]  # visits that came too late, and their steps

    @property
    def steps(self) -> int:
        """T, the steps of all nodes that have arrived."""
        return self.before + sum(report.steps for report in self.reports.values())

    @property
    def updates(self) -> int:
        """The updates of theta by all nodes that have arrived."""
        return int(sum(report.learned[UPDATES] for report in self.reports.values()))

    def join(self, launch: int) -> Reply:
        """Note that a node is ready, and has theta as it is now. It asks again until it may begin."""
        if launch not in self.reports:
            self.reports[launch] = Report(launch, 0, np.zeros(COLUMNS), np.zeros((0, 3)))
            self.first = self.clock() if self.first is None else self.first
        self._seen[launch] = self.updates, self.steps
        waited = self.first is not None and self.clock() - self.first > PATIENCE_SECONDS
        if self.began is None and (len(self.reports) >= self.nodes or waited):
            self.began = self.clock()
        return self.reply(launch)

    def arrived(self, report: Report) -> Reply:
        """Count a report that has come with a delta, and return whether the delta shall be taken.

        Its staleness is the updates of others since the last visit.
        """
        launch, (updates, steps) = report.launch, self._seen[report.launch]
        self._keep_g(report)
        self._seen[launch] = self.updates, self.steps
        if self.steps - steps > self.most_missed:
            visits, lost = self._late
            self._late = [visits + 1, lost + report.steps - self.reports[launch].steps]
            return self.reply(launch)._replace(taken=False)
        stale = self.updates - updates
        visits, total, largest = self._staleness
        self._staleness = [visits + 1, total + stale, max(largest, stale)]
        self.reports[launch] = report._replace(episodes=np.zeros((0, 3)), g=None)
        self._seen[launch] = self.updates, self.steps
        self._episodes.append(report.episodes)
        return self.reply(launch)

    def _keep_g(self, report: Report) -> None:
        if report.g is not None:
            self._g[report.launch] = report.g
            self._owing.discard(report.launch)

    def reply(self, launch: int) -> Reply:
        """Return what a node must know of the others."""
        others = self.steps - self.reports[launch].steps
        return Reply(others, self.began is not None, self.stopping, launch in self._owing)

    def stop(self) -> None:
        """Let each node stop, as soon as it asks."""
        self.stopping = True

    def ask_for_g(self) -> None:
        """Let each node send its g with its next report."""
        self._owing = set(self.reports)

    def forget(self, launch: int) -> None:
        """Leave out the g of a node that has died. What it has done stays."""
        self._g.pop(launch, None)
        self._owing.discard(launch)

    def look(self) -> View:
        """Return how far the run is, with the episodes since the last call."""
        episodes, self._episodes = np.concatenate([np.zeros((0, 3)), *self._episodes]), []
        learned = sum((report.learned for report in self.reports.values()), np.zeros(COLUMNS))
        seconds = 0.0 if self.began is None else self.clock() - self.began
        g = mean_rows(list(self._g.values())) if self._g else None
        return View(self.steps, seconds, learned, episodes, g, self.measured())

    def measured(self) -> dict[str, Any]:
        """Return what the exchanges have cost: staleness in updates, bytes, and seconds."""
        visits, total, largest = self._staleness
        reports = self.reports.values()
        seconds = sum(report.seconds for report in reports)
        return {
            "launches": len(reports),
            "exchanges": visits,
            "steps_per_exchange": round((self.steps - self.before) / max(visits, 1), 1),
            "staleness_mean": round(total / max(visits, 1), 2),
            "staleness_max": largest,
            "late": self._late[0],
            "steps_lost": self._late[1],
            "bytes": sum(report.bytes for report in reports),
            "exchange_ms": round(1000 * seconds / max(visits, 1), 3),
            "steps_of_launches": [report.steps for _, report in sorted(self.reports.items())],
        }


class ParameterServer:
    """Holds theta, or a part of it, and the board of the run. Nodes and the program that started them call it.

    theta  the parameters, or a part of them, float32 (n,). They are copied
    board  counts for all parts; None for every part but the first
    """

    def __init__(self, theta: np.ndarray, board: Board | None = None) -> None:
        self.theta, self._board = theta.copy(), board

    @property
    def board(self) -> Board:
        """The board. Only the first part has one."""
        assert self._board, "the first part has the board"
        return self._board

    def read(self) -> np.ndarray:
        """Return a copy of theta."""
        return self.theta.copy()

    def add(self, delta: np.ndarray) -> np.ndarray:
        """Add what a node has changed, and return a copy of the sum."""
        self.theta += delta
        return self.theta.copy()

    def join(self, launch: int) -> tuple[np.ndarray, Reply]:
        """Return theta for a node that is ready to begin, and whether it may."""
        return self.read(), self.board.join(launch)

    def exchange(self, delta: np.ndarray, report: Report) -> tuple[np.ndarray, Reply]:
        """Count a report, add its delta unless it is too late, and return theta and what the node must know."""
        reply = self.board.arrived(report)
        return self.add(delta) if reply.taken else self.read(), reply

    def ask(self, launch: int) -> Reply:
        """Return what a node must know between two exchanges."""
        return self.board.reply(launch)

    def look(self) -> tuple[np.ndarray, View]:
        """Return theta and how far the run is, from one moment."""
        return self.read(), self.board.look()

    def stop(self) -> None:
        """Let each node stop."""
        self.board.stop()

    def ask_for_g(self) -> None:
        """Let each node send its g."""
        self.board.ask_for_g()

    def forget(self, launch: int) -> None:
        """Leave out the g of a node that has died."""
        self.board.forget(launch)


def cut(theta: np.ndarray, shards: int) -> list[np.ndarray]:
    """Return views of nearly equal parts of a vector, at most one a parameter."""
    return np.array_split(theta, min(shards, max(theta.size, 1)))


def mean_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Return the mean of float32 vectors."""
    return np.stack(rows).mean(axis=0, dtype=np.float32)
