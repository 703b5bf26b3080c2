"""An environment with the arrays that the loop owns otherwise, for tests that play it by hand."""

from typing import Any

import numpy as np

from numasync.envs.spec import Environment
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row


class Player:
    """One worker's arrays for an environment. `seed` seeds its random numbers."""

    def __init__(self, env: Environment, seed: int = 0) -> None:
        self.env, self.spec = env, env.spec
        self.state, self.rng = env.new_state(), seed_row(seed, 0)
        self.obs = np.full(int(np.prod(env.spec.observation.network_shape)), np.nan, FLOAT)

    def reset(self) -> np.ndarray:
        """Start an episode; return a copy of the observation."""
        self.env.reset(self.state, self.rng, self.obs)
        return self.obs.copy()

    def step(self, action: Any) -> tuple[np.ndarray, float, int]:
        """Play an action; return a copy of the observation, the reward and the end."""
        reward, end = self.env.step(self.state, action, self.rng, self.obs)
        return self.obs.copy(), reward, end
