"""`numasync watch` as the tests run it, an environment with a screen, and agents that have learned nothing."""

import sys
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from numasync.agent.agent import Agent
from numasync.cli import main
from numasync.config import make_config
from numasync.envs import make_env


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def shown(capsys):
    """Runs `numasync watch ARGUMENTS` and returns the lines that it printed."""

    def run(*arguments):
        assert main(["watch", *map(str, arguments)]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out.splitlines()

    return run


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Lets what capsys puts in the place of stdout pass for a terminal, and keeps the seconds that were slept."""
    slept = []
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stdout: True)
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def agent_file(tmp_path):
    """Saves an agent that has learned nothing and returns its path."""

    def save(env_id, algo="a3c", **options):
        spec = make_env(env_id).spec
        path = tmp_path / "agent.npz"
        Agent(make_config(spec.family, env=env_id, algo=algo, **options), spec).save(path)
        return path

    return save


class Screen(gymnasium.Env):
    """Step n shows the grey value 50 n + 10, made of three unequal colours, and one white pixel."""

    observation_space = Box(0, 255, (40, 50, 3), np.uint8)
    action_space = Discrete(2)

    def picture(self):
        picture = np.zeros((40, 50, 3), np.uint8)
        picture[:] = np.array([0, 10, 20]) + 50 * self.steps
        picture[3, 7] = 255
        return picture

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self.picture(), {}

    def step(self, action):
        self.steps += 1
        return self.picture(), 0.1, self.steps == 3, False, {}


@pytest.fixture(scope="module", autouse=True)
def screen():
    gymnasium.register("WatchedScreen-v0", entry_point=Screen)
    yield
    gymnasium.registry.pop("WatchedScreen-v0")
