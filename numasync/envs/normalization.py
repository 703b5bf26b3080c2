"""Normalised observations: of screens by what random play shows, of vectors by what a run sees.

**Screens.** The mean of each pixel and the deviation of all are measured once, before a run. A screen with values in
[0, 1] is a bad input. Most pixels never change, nearly every frame looks the same to the first layer, and a step of
theta moves all outputs together. A frame minus its mean shows what moves. Divided by its deviation it has the size that
the initial weights are made for.

Both are measured on random play and then fixed, so the network never sees its inputs shift. The agent keeps them.

**Vectors.** Each number has a mean and a deviation of its own. Random play tells little of them: who learns to run
meets speeds that nobody meets by chance. So they are measured for as long as the run lasts, by the network's first
layer, see `nn/layers/normalize.py` and `learner/moments.py`.

**The others.** Boards and one-hots stay as they are: their numbers are 0 or 1, and each says whether something is
there.
"""

import dataclasses

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import Environment, episode_over
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

MEASURED_STEPS = 1_000
MEASURE_STREAM = 3_000_000
# For pixels in [0, 1]. Where hardly anything moves in random play, a smaller deviation would make later motion huge.
SMALLEST_DEVIATION = 0.05


def measure_normalization(env: Environment, seed: int) -> Observation:
    """Return the Observation of `env`, normalised.

    A screen gets the mean of each pixel and a scale of 1 / the deviation of all pixels. MEASURED_STEPS random steps are
    played for that, which do not count as steps of the run. A vector is marked, and measured by the run itself.
    Anything else is returned unchanged.
    """
    observation = env.spec.observation
    if observation.kind == "vector":
        return dataclasses.replace(observation, normalized=True)
    if not observation.is_screen:
        return observation
    mean, deviation = measure_pixels(env, seed_row(seed, MEASURE_STREAM))
    raw_mean = (mean / observation.scale).astype(FLOAT)
    return dataclasses.replace(observation, scale=observation.scale / max(deviation, SMALLEST_DEVIATION), mean=raw_mean)


def measure_pixels(env: Environment, rng: np.ndarray) -> tuple[np.ndarray, float]:
    """Play at random; return the mean of each pixel, and the standard deviation of all pixels from their means.

    The means have the shape of one frame.
    """
    observation, state = env.spec.observation, env.new_state()
    obs = np.zeros(observation.network_shape, FLOAT)
    picture = obs[:, :, -1] if observation.kind == "frames" else obs.reshape(observation.mean_shape)
    env.reset(state, rng, obs.reshape(-1))
    total, squares = np.zeros(picture.shape), 0.0
    for _ in range(MEASURED_STEPS):
        _, end = env.step(state, env.spec.random_action(rng), rng, obs.reshape(-1))
        total += picture
        squares += np.square(picture, dtype=np.float64).mean()
        if episode_over(end):
            env.reset(state, rng, obs.reshape(-1))
    mean = total / MEASURED_STEPS
    return mean, np.sqrt(max(squares / MEASURED_STEPS - np.square(mean).mean(), 0.0))
