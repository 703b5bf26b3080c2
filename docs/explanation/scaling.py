"""How a run over several nodes scales: measure what an exchange costs, simulate 1 to 1,000 nodes, draw scaling.png.

    python docs/explanation/scaling.py measure [--ray ADDRESS]    prints a JSON object: what an exchange costs
    python docs/explanation/scaling.py draw                       prints a table, writes scaling.png

`draw` needs matplotlib. It takes its numbers from COSTS below, which `measure` has printed.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from numasync.distributed.downpour.parameter_server import Board, ParameterServer, Report
from numasync.distributed.downpour.ray_actors import ParameterActor, send
from numasync.distributed.downpour.simulation import Costs, saturated_at, table_of
from numasync.learner.counters import COLUMNS
from numasync.training.train import make_agent

GAMES = {"CartPole": "CartPole-v1", "MinAtar": "MinAtar/Breakout-v1", "Pong": "PongNoFrameskip-v4"}
NODES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
REPEATS = 200

# Steps a second of a machine with two cores, and steps between two updates of a worker, as measured in scaling.md.
STEPS_PER_S = {"CartPole": 1_710_000, "MinAtar": 85_000, "Pong": 1_400}
UPDATE_STEPS = {"CartPole": 5, "MinAtar": 18, "Pong": 20}
SYNC_STEPS = 500
# What `measure` has printed: parameters, and milliseconds of an exchange, and of the actor's part in it.
PARAMETERS = {"CartPole": 898, "MinAtar": 132_179, "Pong": 677_686}
ROUND_TRIP_MS = {"CartPole": 1.94, "MinAtar": 7.56, "Pong": 23.90}
SERVICE_MS = {"CartPole": 1.22, "MinAtar": 3.99, "Pong": 19.81}


def parameters_of(env: str) -> int:
    """Return the parameters of the network of an environment's preset."""
    return make_agent(env=env).network.n_parameters


def measure_server(n: int) -> float:
    """Return the seconds of an exchange in the process that holds theta: the median, without a network."""
    server = ParameterServer(np.zeros(n, np.float32), Board(1, 500))
    server.join(0)
    delta = np.full(n, 1e-3, np.float32)
    return median([timed(lambda: server.exchange(delta, report())) for _ in range(REPEATS)])


class Caller:
    """A node that exchanges with the actor that holds theta, for an actor of Ray."""

    def measure(self, parameters: Any, n: int) -> dict[str, float]:
        """Return the milliseconds of an exchange: one alone, and how long the actor is busy where many wait."""
        import ray

        delta = np.full(n, 1e-3, np.float32)

        def exchange(times: int) -> None:
            for answer in [send(parameters.exchange_pieces, delta, report()) for _ in range(times)]:
                ray.get(answer)

        exchange(10)
        one = [timed(lambda: exchange(1)) for _ in range(REPEATS)]
        ten = [timed(lambda: exchange(10)) / 10 for _ in range(REPEATS // 10)]
        return {"round_trip_ms": 1000 * median(one), "service_ms": 1000 * median(ten)}


def measure_actor(ray: Any, n: int) -> dict[str, float]:
    """Return what an exchange costs between two nodes of a cluster, the first and the last one."""
    from numasync.distributed.nodes import living_nodes, on_node

    nodes = living_nodes(ray)
    parameters = ray.remote(num_cpus=0)(ParameterActor).options(scheduling_strategy=on_node(ray, nodes[0].id))
    caller = ray.remote(num_cpus=0)(Caller).options(scheduling_strategy=on_node(ray, nodes[-1].id)).remote()
    actor = parameters.remote(np.zeros(n, np.float32), Board(1, 500))
    ray.get(actor.join.remote(0))
    found = ray.get(caller.measure.remote(actor, n))
    for process in (actor, caller):
        ray.kill(process)
    return found


def report() -> Report:
    """Return the report of a node that has done nothing."""
    return Report(0, 0, np.zeros(COLUMNS), np.zeros((0, 3)))


def timed(function: Any) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def median(numbers: list[float]) -> float:
    """Return the median."""
    return float(np.median(numbers))


def measure(address: str | None) -> None:
    """Print what an exchange costs for each network, without and, where there is an address, with Ray."""
    sizes = {name: parameters_of(env) for name, env in GAMES.items()}
    found: dict[str, dict[str, float]] = {
        name: {"parameters": n, "server_ms": 1000 * measure_server(n)} for name, n in sizes.items()
    }
    if address:
        from numasync.distributed.ray_cluster import connect

        with connect(address) as ray:
            for name, n in sizes.items():
                found[name] |= measure_actor(ray, n)
    print(json.dumps(found, indent=1))


def costs_of(game: str) -> Costs:
    """Return what a simulation must know of a game. What CartPole's exchange takes is counted as the cost of a call."""
    moved = 2 * 4 * PARAMETERS[game]
    paces = STEPS_PER_S[game], UPDATE_STEPS[game], SYNC_STEPS
    travel = {name: (ROUND_TRIP_MS[name] - SERVICE_MS[name]) / 1000 for name in GAMES}
    busy = {name: SERVICE_MS[name] / 1000 for name in GAMES}
    byte_s, travel_byte_s = ((cost[game] - cost["CartPole"]) / moved for cost in (busy, travel))
    return Costs(PARAMETERS[game], *paces, busy["CartPole"], byte_s, travel["CartPole"], travel_byte_s)


def print_table(label: str, costs: Costs, shards: int, rows: list[dict[str, Any]]) -> None:
    """Print what the simulation finds for each number of nodes."""
    print(f"{label}: an exchange every {costs.sync_steps} steps; saturated at {saturated_at(costs, shards):.1f} nodes")
    for row in rows:
        steps, megabytes = f"{row['steps_per_s']:>13,.0f} steps/s", f"{row['bytes_per_s'] / 1e6:>9,.1f} MB/s"
        rest = f"busy {row['busy']:>4.0%}, {1000 * row['exchange_s']:>8.1f} ms an exchange"
        print(f"  {row['nodes']:>5} nodes {steps}  staleness {row['staleness']:>10,.0f}  {megabytes}  {rest}")


def draw(folder: Path) -> None:
    """Print what the simulation finds, and write scaling.png into a folder."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    names = ("steps_per_s", "staleness", "bytes_per_s")
    titles = ("steps a second", "staleness: updates of others", "bytes a second, all nodes")
    for color, game in enumerate(GAMES):
        costs = costs_of(game)
        for shards, line in ((1, "-"), (8, "--")):
            rows = table_of(costs, NODES, shards)
            label = f"{game}, {shards} shard{'s' if shards > 1 else ''}"
            for axis, name in zip(axes, names):
                shown = [row[name] or np.nan for row in rows]  # one node is never stale
                axis.plot(NODES, shown, line, color=f"C{color}", label=label, linewidth=1.5)
            print_table(label, costs, shards, rows)
    for axis, title in zip(axes, titles):
        axis.set(xscale="log", yscale="log", xlabel="nodes", title=title)
        axis.grid(alpha=0.3)
    axes[1].legend(fontsize=7)
    figure.savefig(folder / "scaling.png", dpi=110)


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("measure", "draw"))
    parser.add_argument("--ray", metavar="ADDRESS", help="measure actors of a cluster too")
    given = parser.parse_args()
    if given.command == "measure":
        measure(given.ray)
    else:
        draw(Path(__file__).parent)


if __name__ == "__main__":
    main()
