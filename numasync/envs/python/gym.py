"""Environments of Gymnasium.

Their actions are Discrete or Box. Their observations are numbers, or Gymnasium can flatten them to numbers.
"""

import contextlib
import dataclasses
import inspect
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import SEEDS, PythonEnv
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, Bounds, EnvSpec
from numasync.errors import InputError, one_line
from numasync.runtime.rng import choice

# The paper's network needs at least this many pixels a side for its kernels of 8 x 8 and 4 x 4. A smaller image gets
# the preset of small images.
SMALL_IMAGE = 36

# The names under which environments and wrappers keep the most steps of an episode.
LIMIT_NAMES = ("_max_episode_steps", "max_episode_steps", "_max_steps", "max_steps")


class GymEnv(PythonEnv):
    """One Gymnasium environment.

    env_id   the id, as the user wrote it
    family   the family whose preset it has; None: the family that fits its spaces
    flatten  whether to wrap it in Gymnasium's FlattenObservation

    Raises InputError if it cannot be made or its spaces are not supported.
    """

    def __init__(self, env_id: str, family: str | None = None, flatten: bool = False) -> None:
        self.env = make_gymnasium(env_id)
        if flatten:
            self.env = gymnasium.wrappers.FlattenObservation(self.env)
        try:
            observation, fitting = parse_observation_space(env_id, self.env.observation_space)
            observation = dataclasses.replace(observation, flattened=flatten)
            n_actions, bounds = parse_action_space(env_id, self.env.action_space)
        except InputError:
            with contextlib.suppress(Exception):
                self.env.close()
            raise
        fitting = "continuous" if bounds and fitting == "classic" else fitting
        self.max_episode_steps = find_episode_limit(self.env)
        how = describe_actions(self.env.action_space)
        super().__init__(EnvSpec(env_id, family or fitting, observation, n_actions, bounds, **how))

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        # Every episode gets a seed from the worker's generator row, so that the row is the only source of randomness.
        raw, _ = self.env.reset(seed=int(choice(rng, SEEDS)))
        self.spec.observation.encode(raw, obs)

    def on_step(self, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[Any, int]:
        raw, reward, terminated, truncated, _ = self.env.step(self.convert_action(action))
        self.spec.observation.encode(raw, obs)
        return reward, TERMINATED if terminated else TRUNCATED if truncated else RUNNING

    def convert_action(self, action: Any) -> Any:
        """Return an action as Gymnasium expects it.

        An integer counts from the start of its space. An array is clipped to the bounds of its space and has its shape.
        """
        space: Any = self.env.action_space
        if not self.spec.continuous:
            return space.start + int(action)
        return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)

    def release(self) -> None:
        self.env.close()


def make_gymnasium(env_id: str) -> gymnasium.Env:
    """Return gymnasium.make(env_id). Raises InputError, one sentence, if that fails."""
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.DependencyNotInstalled as error:
        raise InputError(f"{env_id} needs a package that is not installed: {one_line(error)}") from error
    except Exception as error:  # a constructor can raise anything
        own = "one of your own must be registered first, see numasync.register, or be named as module:id"
        known = isinstance(error, (gymnasium.error.Error, ImportError, ValueError))
        reason = one_line(error if known else f"{type(error).__name__}: {error}").rstrip(".")
        raise InputError(f"{env_id!r} is no environment that Gymnasium can make: {reason} ({own}).") from error


def parse_action_space(env_id: str, space: spaces.Space) -> tuple[int, Bounds | None]:
    """Return the n_actions and bounds of an EnvSpec. Raises InputError if the space is not supported."""
    if isinstance(space, spaces.Discrete):
        return int(space.n), None
    if not isinstance(space, spaces.Box):
        raise InputError(
            f"{env_id} has {type(space).__name__} actions, which are not supported; Discrete and Box actions are."
        )
    low, high = (tuple(map(float, bound.reshape(-1))) for bound in (space.low, space.high))
    return int(np.prod(space.shape)), (low, high)


def describe_actions(space: spaces.Space) -> dict[str, Any]:
    """Return how a space of actions writes an action: the last fields of an EnvSpec."""
    if isinstance(space, spaces.Discrete):
        return {"action_start": int(space.start)}
    shape = tuple(int(n) for n in space.shape or ())
    return {"action_shape": None if len(shape) == 1 else shape, "action_dtype": str(space.dtype)}


def find_episode_limit(env: Any) -> int | None:
    """Return the most steps of an episode that an environment, a wrapper or its registration names, or None.

    It is in the registration, in the wrapper TimeLimit, or under one of the usual names in the environment itself.
    """
    found = [getattr(env.spec, "max_episode_steps", None)]
    wrapped = True
    while wrapped:
        found += [inspect.getattr_static(env, name, None) for name in LIMIT_NAMES]
        wrapped = isinstance(env, gymnasium.Wrapper)
        env = env.env if wrapped else env
    return max((limit for limit in found if type(limit) is int), default=None)


def parse_observation_space(env_id: str, space: spaces.Space) -> tuple[Observation, str]:
    """Return the Observation of an EnvSpec and the family whose preset fits it.

    Raises InputError if the space is not supported.
    """
    if isinstance(space, spaces.Discrete):
        return Observation("discrete", (int(space.n),), start=int(space.start)), "classic"
    if isinstance(space, spaces.MultiDiscrete):
        sizes, start = (tuple(map(int, numbers.reshape(-1))) for numbers in (space.nvec, space.start))
        return Observation("multi_discrete", sizes, start=start), "classic"
    if isinstance(space, spaces.MultiBinary):
        return Observation("vector", tuple(space.shape)), "classic"
    if not isinstance(space, spaces.Box):
        raise InputError(
            f"{env_id} has {type(space).__name__} observations, which are not supported as they are; "
            f"--flatten (flatten=True) turns a Dict or a Tuple into one row of numbers."
        )
    shape = tuple(int(n) for n in space.shape)
    # uint8 numbers fill 0..255, as pixels or as the RAM of a console. Other numbers are not scaled.
    scale = 1.0 / 255.0 if space.dtype == np.uint8 else 1.0
    if len(shape) == 3 or (len(shape) == 2 and space.dtype in (np.uint8, np.bool_)):
        return Observation("image", shape, scale), "image" if min(shape[:2]) < SMALL_IMAGE else "atari"
    return Observation("vector", shape, scale), "classic"
