"""An environment with the arrays that the loop would own, for tests that play it by hand."""

import numpy as np

from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row


class Player:
    def __init__(self, env, seed=0):
        self.env, self.spec = env, env.spec
        self.state, self.rng = env.new_state(), seed_row(seed, 0)
        self.obs = np.full(int(np.prod(env.spec.observation.network_shape)), np.nan, FLOAT)

    def reset(self):
        self.env.reset(self.state, self.rng, self.obs)
        return self.obs.copy()

    def step(self, action):
        reward, end = self.env.step(self.state, action, self.rng, self.obs)
        return self.obs.copy(), reward, end
