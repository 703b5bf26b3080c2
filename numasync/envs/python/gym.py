"""Any Gymnasium id with Discrete or Box actions and an observation that is numbers, or is flattened to numbers."""

import dataclasses

import gymnasium
import numpy as np
from gymnasium import spaces

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.errors import InputError
from numasync.runtime.rng import choice

# Below this many pixels a side the paper's network of 8 x 8 kernels does not fit, and the small one is used.
SMALL_IMAGE = 36
SEEDS = 2**31 - 1


class GymEnv(PythonEnv):
    """One Gymnasium environment. family: whose presets, if its observation is not to tell. flatten: put Gymnasium's own
    FlattenObservation around it. Raises InputError where it cannot be made."""

    def __init__(self, env_id, family=None, flatten=False):
        self.env = make(env_id)
        if flatten:
            self.env = gymnasium.wrappers.FlattenObservation(self.env)
        try:
            observation, usual_family = encoding(env_id, self.env.observation_space)
            observation = dataclasses.replace(observation, flattened=flatten)
            n_actions, bounds = actions_of(env_id, self.env.action_space)
        except InputError:
            self.env.close()
            raise
        usual_family = "continuous" if bounds and usual_family == "classic" else usual_family
        super().__init__(EnvSpec(env_id, family or usual_family, observation, n_actions, bounds))

    def restart(self, rng, obs):
        # Every episode is seeded from the worker's own row, which is then the whole of the worker's randomness.
        raw, _ = self.env.reset(seed=int(choice(rng, SEEDS)))
        self.spec.observation.encode(raw, obs)

    def play(self, action, rng, obs):
        raw, reward, terminated, truncated, _ = self.env.step(self.as_gymnasium_has_it(action))
        self.spec.observation.encode(raw, obs)
        return reward, TERMINATED if terminated else TRUNCATED if truncated else RUNNING

    def as_gymnasium_has_it(self, action):
        """Counted from where the space begins to count; clipped to the space, and in its shape."""
        space = self.env.action_space
        if not self.spec.continuous:
            return space.start + int(action)
        return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)

    def close(self):
        super().close()
        self.env.close()


def make(env_id):
    """gymnasium.make, with what can go wrong said in one sentence."""
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.DependencyNotInstalled as error:
        raise InputError(f"{env_id} needs a package that is not installed: {one_line(error)}") from error
    except Exception as error:  # a constructor raises what it likes
        own = "one of your own must be registered first, see numasync.register, or be named as module:id"
        known = isinstance(error, (gymnasium.error.Error, ImportError, ValueError))
        reason = one_line(error if known else f"{type(error).__name__}: {error}").rstrip(".")
        raise InputError(f"{env_id!r} is no environment that Gymnasium can make: {reason} ({own}).") from error


def one_line(error):
    """What an error says, as the end of a sentence."""
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else text + "."


def actions_of(env_id, space):
    """n_actions and bounds of an EnvSpec."""
    if isinstance(space, spaces.Discrete):
        return int(space.n), None
    if not isinstance(space, spaces.Box):
        raise InputError(
            f"{env_id} has {type(space).__name__} actions, which are not supported; Discrete and Box ones are."
        )
    return int(np.prod(space.shape)), tuple(tuple(map(float, bound.reshape(-1))) for bound in (space.low, space.high))


def encoding(env_id, space):
    """How observations of `space` become network inputs, and the family of presets that fits them."""
    if isinstance(space, spaces.Discrete):
        return Observation("discrete", (int(space.n),), start=int(space.start)), "classic"
    if isinstance(space, spaces.MultiDiscrete):
        sizes, start = (tuple(map(int, numbers.reshape(-1))) for numbers in (space.nvec, space.start))
        return Observation("multi_discrete", sizes, start=start), "classic"
    if isinstance(space, spaces.MultiBinary):
        return Observation("vector", tuple(space.shape)), "classic"
    if not isinstance(space, spaces.Box):
        raise InputError(
            f"{env_id} has {type(space).__name__} observations, which are not supported as they are; trained "
            f"with --flatten (flatten=True), a Dict or a Tuple becomes one row of numbers."
        )
    shape = tuple(int(n) for n in space.shape)
    # A uint8 reading fills 0..255, in pixels as in the RAM of a console; anything else is taken as it is.
    scale = 1.0 / 255.0 if space.dtype == np.uint8 else 1.0
    if len(shape) == 3 or (len(shape) == 2 and space.dtype in (np.uint8, np.bool_)):
        return Observation("image", shape, scale), "image" if min(shape[:2]) < SMALL_IMAGE else "atari"
    return Observation("vector", shape, scale), "classic"
