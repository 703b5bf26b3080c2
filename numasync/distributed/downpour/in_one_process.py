"""Several nodes in one thread of one process, in turn: what staleness does to learning, without a cluster.

Each node has its own theta and its own workers. The nodes play one segment of each worker in turn, and exchange theta
by the equation of `parameter_server.py`, each in its own turn. So a run repeats bit for bit, and staleness depends on
sync_steps and the number of nodes alone: with n nodes, a delta finds (n - 1) * sync_steps steps of others on average.

    python -m numasync.distributed.downpour.in_one_process MinAtar/Breakout-v1 --nodes 2 --sync-steps 20 200 2000
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from numasync.agent.agent import Agent
from numasync.distributed.downpour.node import Exchanger, NodeTrainer, Place
from numasync.distributed.downpour.parameter_server import Board, ParameterServer
from numasync.training.console import Console
from numasync.training.train import make_agent


def train_in_turn(agent: Agent) -> dict[str, Any]:
    """Train an agent on several nodes in turn. Return what the exchanges have cost.

    agent  its options say how many nodes there are; it gets the parameters that the nodes have learned
    """
    config = agent.config
    server = ParameterServer(agent.theta, Board(config.nodes, config.sync_steps))
    own = Agent(dataclasses.replace(config, ray=None, nodes=1, shards=1, deterministic=True), agent.spec, agent.theta)
    nodes = [Exchanger(NodeTrainer(own, Place(i, config.nodes, i)), server) for i in range(config.nodes)]
    for node in nodes:
        node.trainer.build()
        server.join(node.trainer.place.launch)
    for i, node in enumerate(nodes):
        node.begin()
        # The first exchanges are spread over an interval, as they are where nodes run for long.
        node.trainer.sent = -(i * config.sync_steps // config.nodes)
    while all(play_a_turn(node) for node in nodes):
        for node in nodes:
            if node.is_due():
                node.exchange()
    for node in nodes:
        node.exchange()
        node.trainer.close()
    theta, view = server.look()
    agent.theta[:] = theta
    return {"steps": view.steps, **view.measured}


def play_a_turn(node: Exchanger) -> bool:
    """Let each worker of a node play a segment. Return whether the run goes on."""
    return all(node.trainer.run_segments_of(i, 1) for i in range(node.trainer.config.workers))


def main(argv: Sequence[str] | None = None) -> None:
    """Train with each number of nodes, each sync_steps and each seed, and print a JSON object for each run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("env")
    parser.add_argument("--algo", default="nstep_q")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--workers", type=int, help="of each node")
    parser.add_argument("--nodes", type=int, nargs="+", default=[2])
    parser.add_argument("--sync-steps", type=int, nargs="+", default=[200])
    parser.add_argument("--delta-weight", type=float)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    given = parser.parse_args(argv)
    names = ("env", "algo", "steps", "workers", "delta_weight")
    options = {name: getattr(given, name) for name in names if getattr(given, name)}
    for seed in given.seeds:
        for nodes in given.nodes:
            for sync_steps in given.sync_steps:
                agent = make_agent(**options, ray="local", nodes=nodes, sync_steps=sync_steps, seed=seed)
                cost = train_in_turn(agent)
                score = agent.evaluate(agent.config.final_eval_episodes) if np.isfinite(agent.theta).all() else None
                own = {"seed": seed, "nodes": nodes, "sync_steps": sync_steps, "score": score and score["mean"]}
                Console().print_lines(json.dumps({**own, **cost}))


if __name__ == "__main__":
    main()
