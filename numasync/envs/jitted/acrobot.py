"""Acrobot-v1: swing a chain of two links up by a torque at the joint between them: -1 (0), none (1) or +1 (2).

Sutton 1996; the equations of motion of Sutton and Barto's book. Written from them; steps in lockstep with Gymnasium's
`Acrobot-v1` (float64 dynamics, one Runge-Kutta step of fourth order, 0.2 s a step, no noise). Reward -1 a step, and 0
for the step that lifts the tip one link's length above the fixed end, which is terminal; truncated after 500 steps.
The observation is the cosine and sine of both angles, and both velocities.
"""

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel
from numasync.runtime.rng import uniform

# The state row: the first link's angle from hanging down (rad), the second's from the first, their velocities (rad/s),
# steps so far.
ANGLE_1, ANGLE_2, VELOCITY_1, VELOCITY_2, STEPS = range(5)

# Both links have a mass of 1 kg and a length of 1 m, and so no factor below.
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
    state[ANGLE_1], state[ANGLE_2] = wrapped(state[ANGLE_1]), wrapped(state[ANGLE_2])
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
    """One Runge-Kutta step. Points and slopes are tuples of four floats: a kernel allocates no arrays."""
    start = (state[ANGLE_1], state[ANGLE_2], state[VELOCITY_1], state[VELOCITY_2])
    slope_1 = slope(start, torque)
    slope_2 = slope(ahead(start, slope_1, SECONDS / 2), torque)
    slope_3 = slope(ahead(start, slope_2, SECONDS / 2), torque)
    slope_4 = slope(ahead(start, slope_3, SECONDS), torque)
    for i in range(4):
        state[i] += SECONDS / 6 * (slope_1[i] + 2 * slope_2[i] + 2 * slope_3[i] + slope_4[i])


@kernel
def ahead(point, rate, seconds):
    """Where a straight line at this rate leads."""
    return (
        point[0] + seconds * rate[0],
        point[1] + seconds * rate[1],
        point[2] + seconds * rate[2],
        point[3] + seconds * rate[3],
    )


@kernel
def slope(point, torque):
    """The derivative of a point in time: its velocities and the links' accelerations."""
    angle_1, angle_2, velocity_1, velocity_2 = point
    cos, sin = np.cos(angle_2), np.sin(angle_2)
    # The mass matrix. The second link's inertia about the joint is the same at every angle.
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
def wrapped(angle):
    """The same angle in [-pi, pi]. The velocities' limits keep a step's turn short, and so the loops."""
    while angle > np.pi:
        angle -= 2 * np.pi
    while angle < -np.pi:
        angle += 2 * np.pi
    return angle


@kernel
def observe(state, obs):
    for i in range(2):
        obs[2 * i] = np.cos(state[i])
        obs[2 * i + 1] = np.sin(state[i])
        obs[4 + i] = state[2 + i]


ACROBOT = JittedEnv(EnvSpec("Acrobot-v1", "classic", Observation("vector", (6,)), 3), reset, step, 5)
