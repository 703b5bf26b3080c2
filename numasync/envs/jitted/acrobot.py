"""Acrobot-v1: swing up a chain of two links by a torque at the joint between them.

The actions are a torque of -1 (0), none (1) and +1 (2).

The reward is -1 a step. The step that lifts the tip one link's length above the fixed end has the reward 0 and is
terminal. An episode is truncated after 500 steps. The observation is the cosine and the sine of both angles, and both
velocities.

The dynamics are float64, one Runge-Kutta step of fourth order for 0.2 s, without noise. They are written from the
equations of motion, and step in lockstep with Gymnasium's `Acrobot-v1`.

Source: Sutton 1996; the equations are in Sutton and Barto, "Reinforcement Learning".
"""

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel
from numasync.runtime.rng import uniform

# The state: the first link's angle from hanging down (rad), the second link's angle from the first link (rad), their
# velocities (rad/s), and the steps of this episode.
ANGLE_1, ANGLE_2, VELOCITY_1, VELOCITY_2, STEPS = range(5)

# Both links have a mass of 1 kg and a length of 1 m, which are left out of the products below.
CENTRE = 0.5
INERTIA = 1.0
GRAVITY = 9.8
SECONDS = 0.2
VELOCITY_LIMIT_1 = 4 * np.pi
VELOCITY_LIMIT_2 = 9 * np.pi
GOAL_HEIGHT = 1.0
MAX_STEPS = 500


@kernel
def reset(state, rng, obs):
    for i in range(4):
        state[i] = 0.2 * uniform(rng) - 0.1
    state[STEPS] = 0.0
    observe(state, obs)


@kernel
def step(state, action, rng, obs):
    swing(state, action - 1.0)
    state[ANGLE_1], state[ANGLE_2] = wrap_angle(state[ANGLE_1]), wrap_angle(state[ANGLE_2])
    state[VELOCITY_1] = min(max(state[VELOCITY_1], -VELOCITY_LIMIT_1), VELOCITY_LIMIT_1)
    state[VELOCITY_2] = min(max(state[VELOCITY_2], -VELOCITY_LIMIT_2), VELOCITY_LIMIT_2)
    state[STEPS] += 1.0
    observe(state, obs)

    if -np.cos(state[ANGLE_1]) - np.cos(state[ANGLE_1] + state[ANGLE_2]) > GOAL_HEIGHT:
        return 0.0, TERMINATED
    if state[STEPS] >= MAX_STEPS:
        return -1.0, TRUNCATED
    return -1.0, RUNNING


@kernel
def swing(state, torque):
    """Take one Runge-Kutta step.

    Points and derivatives are tuples of four floats, because a kernel allocates no arrays.
    """
    start = (state[ANGLE_1], state[ANGLE_2], state[VELOCITY_1], state[VELOCITY_2])
    rate_1 = derivative(start, torque)
    rate_2 = derivative(move(start, rate_1, SECONDS / 2), torque)
    rate_3 = derivative(move(start, rate_2, SECONDS / 2), torque)
    rate_4 = derivative(move(start, rate_3, SECONDS), torque)
    for i in range(4):
        state[i] += SECONDS / 6 * (rate_1[i] + 2 * rate_2[i] + 2 * rate_3[i] + rate_4[i])


@kernel
def move(point, rate, seconds):
    """Return point + seconds * rate."""
    return (
        point[0] + seconds * rate[0],
        point[1] + seconds * rate[1],
        point[2] + seconds * rate[2],
        point[3] + seconds * rate[3],
    )


@kernel
def derivative(point, torque):
    """Return the derivative of a point in time: the links' velocities and accelerations."""
    angle_1, angle_2, velocity_1, velocity_2 = point
    cos, sin = np.cos(angle_2), np.sin(angle_2)
    # The mass matrix. The inertia of the second link about the joint is the same at every angle.
    inertia_2 = CENTRE**2 + INERTIA
    coupling = inertia_2 + CENTRE * cos
    inertia_1 = CENTRE**2 + INERTIA + inertia_2 + 1.0 + 2 * CENTRE * cos

    weight_2 = CENTRE * GRAVITY * np.sin(angle_1 + angle_2)
    weight_1 = (CENTRE + 1.0) * GRAVITY * np.sin(angle_1) + weight_2
    load_1 = weight_1 - CENTRE * sin * velocity_2 * (velocity_2 + 2 * velocity_1)
    load_2 = weight_2 + CENTRE * sin * velocity_1**2

    share = coupling / inertia_1
    acceleration_2 = (torque + share * load_1 - load_2) / (inertia_2 - share * coupling)
    acceleration_1 = -(coupling * acceleration_2 + load_1) / inertia_1
    return velocity_1, velocity_2, acceleration_1, acceleration_2


@kernel
def wrap_angle(angle):
    """Return the same angle in [-pi, pi]. The limits on velocities keep these loops short."""
    while angle > np.pi:
        angle -= 2 * np.pi
    while angle < -np.pi:
        angle += 2 * np.pi
    return angle


@kernel
def observe(state, obs):
    """Write the observation of a state."""
    for i in range(2):
        obs[2 * i] = np.cos(state[i])
        obs[2 * i + 1] = np.sin(state[i])
        obs[4 + i] = state[2 + i]


ACROBOT = JittedEnv(EnvSpec("Acrobot-v1", "classic", Observation("vector", (6,)), 3), reset, step, 5)
