"""Agents on every kind of observation and of action, with parameters that nobody trained, and batches for them."""

from typing import Any

import numpy as np

from numasync import conv, dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec

N = 37
LAYERS, LSTM = (dense(16), relu()), (dense(8), relu(), lstm(16))
PIXELS = np.random.default_rng(1).uniform(0, 255, (8, 8)).astype(np.float32)
# Each kind of observation, its network, and a function that draws a batch of n.
KINDS = {
    "vector": (Observation("vector", (4,)), LAYERS, lambda draw, n: draw.normal(size=(n, 4))),
    "normalized": (Observation("vector", (4,), normalized=True), LAYERS, lambda draw, n: 30 * draw.normal(size=(n, 4))),
    "matrix": (Observation("vector", (2, 3)), LAYERS, lambda draw, n: draw.normal(size=(n, 2, 3))),
    "number": (Observation("vector", ()), LAYERS, lambda draw, n: draw.normal(size=n)),
    "discrete": (Observation("discrete", (6,), start=-2), LAYERS, lambda draw, n: draw.integers(-2, 4, n)),
    "multi_discrete": (
        Observation("multi_discrete", (3, 4), start=(0, 1)),
        LAYERS,
        lambda draw, n: np.stack([draw.integers(0, 3, n), draw.integers(1, 5, n)], axis=1),
    ),
    "board": (Observation("image", (5, 5, 2)), (conv(4, 3), relu()), lambda draw, n: draw.random((n, 5, 5, 2)) < 0.5),
    "screen": (
        Observation("image", (8, 8), scale=0.01, mean=PIXELS),
        (conv(4, 3), relu()),
        lambda draw, n: draw.integers(0, 256, (n, 8, 8)).astype(np.uint8),
    ),
    "channels_first": (
        Observation("channels_first", (3, 8, 8), scale=0.01),
        (conv(4, 3), relu()),
        lambda draw, n: draw.integers(0, 256, (n, 3, 8, 8)).astype(np.uint8),
    ),
    "stack": (
        Observation("stack", (2, 8, 8, 3), scale=0.01),
        (conv(4, 3), relu()),
        lambda draw, n: draw.integers(0, 256, (n, 2, 8, 8, 3)).astype(np.uint8),
    ),
    "frames": (
        Observation("frames", (4, 8, 8), scale=0.01, mean=PIXELS),
        (conv(4, 3), relu()),
        lambda draw, n: draw.integers(0, 256, (n, 4, 8, 8)).astype(np.uint8) * (draw.random((n, 4, 1, 1)) < 0.8),
    ),
}
ACTIONS = {
    "q": ("nstep_q", dict(n_actions=5, action_start=-3)),
    "policy": ("a3c", dict(n_actions=5)),
    "several": (
        "a3c",
        dict(n_actions=4, nvec=(3, 1, 2, 5), action_start=(0, 2, -1, 0), action_shape=(2, 2), action_dtype="int32"),
    ),
    "continuous": (
        "a3c",
        dict(n_actions=4, bounds=((-2.0,) * 4, (1.0, 1.0, np.inf, 3.0)), action_shape=(2, 2), action_dtype="float64"),
    ),
}


def make_agent(kind: str = "vector", actions: str = "q", layers: Any = None, **options: Any) -> Agent:
    """Make an agent on a kind of observation."""
    observation, usual, _ = KINDS[kind]
    algo, fields = ACTIONS[actions]
    config = make_config("classic", algo=algo, network=layers or usual, eval_epsilon=0.3, **options)
    agent = Agent(config, EnvSpec("Game-v0", "classic", observation, **fields))
    agent.theta *= 3
    if observation.normalized:
        agent.network.views(agent.theta)["normalize.moments"][:] = [[5, -20, 0, 1], [30, 10, 20, 1]]
    return agent


def draw_batch(kind: str = "vector", n: int = N, seed: int = 0) -> np.ndarray:
    """Draw a batch of n observations of a kind."""
    return KINDS[kind][2](np.random.default_rng(seed), n)
