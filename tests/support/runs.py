"""Trainer runs for the tests, without the evaluation at the end of `numasync.train`."""

from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env
from numasync.training.trainer import Trainer


def trained(env_id, algo, **options):
    """The Trainer of a finished run of `algo` on `env_id`."""
    env = make_env(env_id)
    env.close()
    config = make_config(env.spec.family, env=env_id, algo=algo, **options)
    trainer = Trainer(config, env.spec, Agent(config, env.spec).network)
    trainer.train()
    return trainer
