"""Runs of a Trainer for the tests, without the evaluations and files of `numasync.train`."""

from typing import Any

from numasync.agent.network import build_network
from numasync.config import make_config
from numasync.envs import make_env
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer


def trained(env_id: str, algo: str, **options: Any) -> Trainer:
    """Train with `algo` on `env_id` to the end and return the Trainer."""
    env = make_env(env_id)
    env.close()
    config = make_config(env.spec.family, env=env_id, algo=algo, **options)
    trainer = Trainer(config, env.spec, build_network(config, env.spec))
    Supervisor(trainer).run()
    return trainer
