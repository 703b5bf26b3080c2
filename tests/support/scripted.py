"""An environment that follows a script, and runs on it, for the tests of the trainer and its supervisor."""

import gymnasium
import numpy as np

from numasync import dense, relu
from numasync.agent.network import build_network
from numasync.config import make_config
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.training.trainer import Trainer

ID = "Scripted-v0"
SPEC = EnvSpec(ID, "classic", Observation("vector", (2,)), 2)
LAYERS = (dense(4), relu())
ENDLESS = 200_000  # seconds, if nothing ended the run
WAIT_SECONDS = 30


class Scripted(gymnasium.Env):
    """An environment that follows a script. An episode is 10 steps.

    Its n-th step gives what script(number of the instance, n) returns: observation and reward.
    """

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, script, made):
        self.script, self.number, self.steps, self.closed = script, len(made), 0, False
        made.append(self)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert not self.closed
        self.steps += 1
        obs, reward = self.script(self.number, self.steps)
        return np.full(2, obs, np.float32), reward, self.steps % 10 == 0, False, {}

    def close(self):
        self.closed = True


def plain(number, n):
    """The script that always gives the same."""
    return 0.1, 1.0


def fails_at(step, worker=1):
    """Return a script that raises at one step of one instance."""

    def script(number, n):
        if number == worker and n == step:
            raise ZeroDivisionError("the pole broke")
        return plain(number, n)

    return script


def register(script, monkeypatch):
    """Register ID with a script, until the test ends, and return the list of the instances that are then made."""
    made: list[Scripted] = []
    spec = gymnasium.envs.registration.EnvSpec(ID, entry_point=lambda: Scripted(script, made))
    monkeypatch.setitem(gymnasium.registry, ID, spec)
    return made


def make_trainer(**options):
    """Return a Trainer alone, without agent and files: worker i plays instance i."""
    config = make_config("classic", env=ID, **{"network": LAYERS, "workers": 2, "steps": 400, **options})
    return Trainer(config, SPEC, build_network(config, SPEC))
