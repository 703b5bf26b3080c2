"""Pendulum-v1: swing a pendulum up and hold it there. The action is the torque at its pivot, in [-2, 2].

The reward is minus a cost of the angle, the velocity and the torque before the step. No state is terminal. An episode
is truncated after 200 steps. The observation is the cosine and the sine of the angle, and the velocity.

The dynamics are float64, one semi-implicit Euler step of 0.05 s. They are written from the equation of motion of a rod,
and step in lockstep with Gymnasium's `Pendulum-v1`.
"""

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TRUNCATED, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel
from numasync.runtime.rng import uniform

# The state: the angle from upright (rad, not wrapped), its velocity (rad/s), and the steps of this episode.
ANGLE, VELOCITY, STEPS = range(3)

GRAVITY = 10.0
MASS = 1.0
LENGTH = 1.0
SECONDS = 0.05
TORQUE_LIMIT = 2.0
VELOCITY_LIMIT = 8.0
MAX_STEPS = 200


@kernel
def reset(state, rng, obs):
    state[ANGLE] = np.pi * (2 * uniform(rng) - 1)
    state[VELOCITY] = 2 * uniform(rng) - 1
    state[STEPS] = 0.0
    observe(state, obs)


@kernel
def step(state, action, rng, obs):
    torque = min(max(np.float64(action[0]), -TORQUE_LIMIT), TORQUE_LIMIT)
    # The same angle in [-pi, pi).
    angle = (state[ANGLE] + np.pi) % (2 * np.pi) - np.pi
    cost = angle**2 + 0.1 * state[VELOCITY] ** 2 + 0.001 * torque**2

    acceleration = 1.5 * GRAVITY / LENGTH * np.sin(state[ANGLE]) + 3 / (MASS * LENGTH**2) * torque
    velocity = state[VELOCITY] + SECONDS * acceleration
    state[VELOCITY] = min(max(velocity, -VELOCITY_LIMIT), VELOCITY_LIMIT)
    state[ANGLE] += SECONDS * state[VELOCITY]
    state[STEPS] += 1.0
    observe(state, obs)
    return -cost, (TRUNCATED if state[STEPS] >= MAX_STEPS else RUNNING)


@kernel
def observe(state, obs):
    """Write the observation of a state."""
    obs[0] = np.cos(state[ANGLE])
    obs[1] = np.sin(state[ANGLE])
    obs[2] = state[VELOCITY]


BOUNDS = ((-TORQUE_LIMIT,), (TORQUE_LIMIT,))
PENDULUM = JittedEnv(EnvSpec("Pendulum-v1", "continuous", Observation("vector", (3,)), 1, BOUNDS), reset, step, 3)
