"""The engine of runs over several nodes. It loads what it needs when it is used."""

from numasync.agent.agent import Agent
from numasync.training.engine import CLUSTER, ENGINES
from numasync.training.schedule import Schedule
from numasync.training.state import TrainingState
from numasync.training.supervisor import Supervisor


def train_on_cluster(agent: Agent, state: TrainingState | None, schedule: Schedule | None) -> Supervisor:
    """Return what trains an agent on the nodes of a Ray cluster."""
    from numasync.distributed.downpour.run_over_nodes import ClusterSupervisor

    return ClusterSupervisor(agent, state, schedule)


def add_engine() -> None:
    """Let runs with the option ray train on a cluster."""
    ENGINES[CLUSTER] = train_on_cluster
