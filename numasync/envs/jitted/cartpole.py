"""CartPole-v1: balance a pole on a cart by pushing left (0) or right (1).

The reward is 1 a step. A state beyond 2.4 m or 12 degrees is terminal. An episode is truncated after 500 steps.

The dynamics are float64, one Euler step of 0.02 s. They are written from the equations of motion, and step in lockstep
with Gymnasium's `CartPole-v1`.

CartPolePositions-v0 is the same game with the velocities hidden. An agent without memory cannot see which way the pole
moves.

Source: Barto, Sutton and Anderson 1983.
"""

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel
from numasync.runtime.rng import uniform

# The state: the cart's position (m) and velocity (m/s), the pole's angle (rad) and velocity (rad/s), and the steps of
# this episode.
X, X_DOT, ANGLE, ANGLE_DOT, STEPS = range(5)

GRAVITY = 9.8
POLE_MASS = 0.1
TOTAL_MASS = 1.0 + POLE_MASS
HALF_LENGTH = 0.5
POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH
FORCE = 10.0
SECONDS = 0.02
X_LIMIT = 2.4
ANGLE_LIMIT = 12 * 2 * np.pi / 360
MAX_STEPS = 500


@kernel
def reset(state, rng, obs):
    for i in range(4):
        state[i] = 0.1 * uniform(rng) - 0.05
    state[STEPS] = 0.0
    observe(state, obs)


@kernel
def step(state, action, rng, obs):
    force = FORCE if action == 1 else -FORCE
    cos, sin = np.cos(state[ANGLE]), np.sin(state[ANGLE])
    push = (force + POLE_MASS_LENGTH * state[ANGLE_DOT] ** 2 * sin) / TOTAL_MASS
    angle_acceleration = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos**2 / TOTAL_MASS))
    acceleration = push - POLE_MASS_LENGTH * angle_acceleration * cos / TOTAL_MASS

    state[X] += SECONDS * state[X_DOT]
    state[X_DOT] += SECONDS * acceleration
    state[ANGLE] += SECONDS * state[ANGLE_DOT]
    state[ANGLE_DOT] += SECONDS * angle_acceleration
    state[STEPS] += 1.0
    observe(state, obs)

    if abs(state[X]) > X_LIMIT or abs(state[ANGLE]) > ANGLE_LIMIT:
        return 1.0, TERMINATED
    if state[STEPS] >= MAX_STEPS:
        return 1.0, TRUNCATED
    return 1.0, RUNNING


@kernel
def observe(state, obs):
    """Write all four numbers, or the two positions if obs has two elements: each velocity follows its position."""
    every = 4 // obs.size
    for i in range(obs.size):
        obs[i] = state[i * every]


CARTPOLE = JittedEnv(EnvSpec("CartPole-v1", "classic", Observation("vector", (4,)), 2), reset, step, 5)
POSITIONS = JittedEnv(EnvSpec("CartPolePositions-v0", "classic", Observation("vector", (2,)), 2), reset, step, 5)
