"""Catch with pictures of three channels, for Gymnasium: the channels are the first or the last axis."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE = 7


class Catch(gymnasium.Env):
    """A ball falls, and a paddle at the bottom catches it or not: +1 or -1.

    first  whether the channels are the first axis
    width  how many columns there are
    """

    action_space = spaces.Discrete(3)

    def __init__(self, first: bool = False, width: int = SIZE) -> None:
        self.first, self.width = first, width
        self.observation_space = spaces.Box(0, 255, (3, SIZE, width) if first else (SIZE, width, 3), np.uint8)

    def look(self) -> np.ndarray:
        picture = np.zeros((3, SIZE, self.width), np.uint8)
        picture[0, self.row, self.ball] = picture[1, -1, self.paddle] = 255
        picture[2] = 40
        return picture if self.first else np.moveaxis(picture, 0, -1)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.row, self.paddle = 0, self.width // 2
        self.ball = int(self.np_random.integers(self.width))
        return self.look(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        self.row += 1
        self.paddle = min(max(self.paddle + action - 1, 0), self.width - 1)
        over = self.row == SIZE - 1
        reward = 0.0 if not over else 1.0 if self.ball == self.paddle else -1.0
        return self.look(), reward, over, False, {}
