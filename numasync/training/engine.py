"""What runs the workers of a run: threads of this process, or what another part of the package adds here.

A folder above this one, which this one cannot import, adds its engine. `numasync/__init__.py` does it.
"""

from collections.abc import Callable

from numasync.agent.agent import Agent
from numasync.training.schedule import Schedule
from numasync.training.state import TrainingState
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer

# (agent, training state to go on from or None, schedule of the learning rate or None) -> a Supervisor with its trainer
Engine = Callable[[Agent, TrainingState | None, Schedule | None], Supervisor]


def train_here(agent: Agent, state: TrainingState | None, schedule: Schedule | None) -> Supervisor:
    """Return what trains an agent in threads of this process."""
    return Supervisor(Trainer(agent.config, agent.spec, agent.network, agent.theta, schedule), state)


# By the name that `choose_engine` gives it.
HERE, CLUSTER = "threads of this process", "a cluster"
ENGINES: dict[str, Engine] = {HERE: train_here}


def choose_engine(agent: Agent) -> Engine:
    """Return the engine that the options of an agent ask for."""
    return ENGINES[HERE if agent.config.ray is None else CLUSTER]
