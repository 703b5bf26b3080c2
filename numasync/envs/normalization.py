"""What a game's screen looks like on average, measured before a run, subtracted from every frame, and kept with the
agent.

A screen in [0, 1] is a bad input: most pixels never change, every frame looks nearly the same to the first layer, and
one step of theta moves all outputs together. Less its mean, a frame shows what moves, and scaled up by its deviation it
speaks as loud as the weights expect. Both are measured on random play, once: the network never sees its inputs shift.
"""

import dataclasses

import numpy as np

from numasync.envs.spec import TERMINATED, TRUNCATED
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

MEASURED_ACTIONS = 1_000
MEASURE_STREAM = 3_000_000
# Of pixels in [0, 1]. A game in which hardly anything moves at random would otherwise blow up what moves later.
SMALLEST_DEVIATION = 0.05


def normalized(env, seed):
    """The Observation of `env` less the mean of each pixel and divided by the deviation of all, over MEASURED_ACTIONS
    random actions (which are not counted in T). Of an environment without a screen, as it is."""
    observation = env.spec.observation
    if not observation.is_screen:
        return observation
    mean, deviation = statistics(env, seed_row(seed, MEASURE_STREAM))
    raw_mean = (mean / observation.scale).astype(FLOAT)
    return dataclasses.replace(observation, scale=observation.scale / max(deviation, SMALLEST_DEVIATION), mean=raw_mean)


def statistics(env, rng):
    """Mean of each pixel, of one frame's shape, and the root of the mean square of what is left of all pixels."""
    observation, state = env.spec.observation, env.new_state()
    obs = np.zeros(observation.network_shape, FLOAT)
    picture = obs[:, :, -1] if observation.kind == "frames" else obs.reshape(observation.shape)
    env.reset(state, rng, obs.reshape(-1))
    total, squares = np.zeros(picture.shape), 0.0
    for _ in range(MEASURED_ACTIONS):
        _, end = env.step(state, env.spec.random_action(rng), rng, obs.reshape(-1))
        total += picture
        squares += np.square(picture, dtype=np.float64).mean()
        if end in (TERMINATED, TRUNCATED):
            env.reset(state, rng, obs.reshape(-1))
    mean = total / MEASURED_ACTIONS
    return mean, np.sqrt(max(squares / MEASURED_ACTIONS - np.square(mean).mean(), 0.0))
