"""Environments of Gymnasium that are registered for one test."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class SampleEnv(gymnasium.Env):
    """Shows samples of a space, and keeps its actions. Ends at steps 2 (truncated), 4 (terminated) and 6 (both)."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.actions: list[Any] = []
        self.closed = False

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        self.observation_space.seed(seed)
        self.last = self.observation_space.sample()
        return self.last, {}

    def step(self, action: Any) -> tuple[Any, np.float32, bool, bool, dict]:
        self.actions.append(action)
        self.last = self.observation_space.sample()
        return self.last, np.float32(1.5), len(self.actions) in (4, 6), len(self.actions) in (2, 6), {}

    def close(self) -> None:
        self.closed = True


@contextlib.contextmanager
def registered_env(observation_space: spaces.Space, action_space: spaces.Space | None = None) -> Iterator[str]:
    """Register a SampleEnv for the length of a `with` block; give its id."""
    action_space = spaces.Discrete(2) if action_space is None else action_space
    gymnasium.register("Sample-v0", entry_point=lambda **_: SampleEnv(observation_space, action_space))
    try:
        yield "Sample-v0"
    finally:
        del gymnasium.registry["Sample-v0"]


def box(shape: tuple[int, ...], dtype: type, low: float = 0, high: float = 255) -> spaces.Box:
    """Return a Box whose elements have the same bounds."""
    return spaces.Box(low, high, shape, dtype)
