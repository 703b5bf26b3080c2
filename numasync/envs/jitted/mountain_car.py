"""MountainCar-v0: drive a weak car out of a valley by pushing left (0), not at all (1) or right (2).

The reward is -1 a step. The position 0.5 on the right hill is terminal. An episode is truncated after 200 steps. A wall
at the left end stops the car. The observation is the position and the velocity.

The dynamics are float64. They are written from the equations of motion, and step in lockstep with Gymnasium's
`MountainCar-v0`.

Source: Moore 1990.
"""

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel
from numasync.runtime.rng import uniform

# The state: the position, the velocity (per step), and the steps of this episode.
X, X_DOT, STEPS = range(3)

FORCE = 0.001
GRAVITY = 0.0025
LEFT_END, RIGHT_END = -1.2, 0.6
X_DOT_LIMIT = 0.07
GOAL = 0.5
MAX_STEPS = 200


@kernel
def reset(state, rng, obs):
    state[X] = 0.2 * uniform(rng) - 0.6
    state[X_DOT] = 0.0
    state[STEPS] = 0.0
    obs[0], obs[1] = state[0], state[1]


@kernel
def step(state, action, rng, obs):
    # The height of the hills is sin(3 x), so their slope is proportional to cos(3 x).
    velocity = state[X_DOT] + (action - 1) * FORCE - GRAVITY * np.cos(3 * state[X])
    velocity = min(max(velocity, -X_DOT_LIMIT), X_DOT_LIMIT)
    state[X] = min(max(state[X] + velocity, LEFT_END), RIGHT_END)
    state[X_DOT] = max(velocity, 0.0) if state[X] == LEFT_END else velocity
    state[STEPS] += 1.0
    obs[0], obs[1] = state[0], state[1]

    # A car that rolls back over the goal has not reached it.
    if state[X] >= GOAL and state[X_DOT] >= 0.0:
        return -1.0, TERMINATED
    if state[STEPS] >= MAX_STEPS:
        return -1.0, TRUNCATED
    return -1.0, RUNNING


MOUNTAIN_CAR = JittedEnv(EnvSpec("MountainCar-v0", "classic", Observation("vector", (2,)), 3), reset, step, 3)
