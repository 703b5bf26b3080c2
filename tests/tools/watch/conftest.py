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


class Drawn(gymnasium.Env):
    """An environment of numbers that draws a picture: the last action and the step, as colours. A seed draws its end.

    picture  what it draws instead
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = Box(-1.0, 1.0, (2,))
    action_space = Discrete(3)

    def __init__(self, render_mode=None, picture=None):
        self.render_mode, self.picture = render_mode, picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.action = 0, 0
        self.last = int(self.np_random.integers(5, 30))
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        self.steps, self.action = self.steps + 1, int(action)
        obs = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return obs, float(self.np_random.normal()), self.steps == self.last, False, {}

    def render(self):
        assert self.render_mode == "rgb_array"
        if self.picture is not None:
            return self.picture()
        picture = np.zeros((31, 47, 3), np.uint8)
        picture[:] = (8 * self.steps, 80 * self.action, 200)
        return picture


def missing_paint():
    raise gymnasium.error.DependencyNotInstalled("the paint is missing")


@pytest.fixture(scope="module", autouse=True)
def screen():
    gymnasium.register("WatchedScreen-v0", entry_point=Screen)
    gymnasium.register("Drawn-v0", entry_point=Drawn)
    gymnasium.register("NoPicture-v0", entry_point=Drawn, kwargs=dict(picture=missing_paint))
    gymnasium.register("WrongPicture-v0", entry_point=Drawn, kwargs=dict(picture=lambda: np.zeros((2, 2))))
    yield
    for name in ("WatchedScreen-v0", "Drawn-v0", "NoPicture-v0", "WrongPicture-v0"):
        gymnasium.registry.pop(name)
