"""Environments of Gymnasium.

Their actions are Discrete, MultiDiscrete, MultiBinary or Box. Their observations are numbers, or Gymnasium can flatten
them to numbers.
"""

import contextlib
import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import SEEDS, PythonEnv
from numasync.envs.python.making import make_gymnasium
from numasync.envs.python.space_checks import ObservationChecker, describe_space, describe_value, unflattenable_part
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, Bounds, EnvSpec
from numasync.errors import InputError, one_line, warn_of
from numasync.runtime.checks import as_number
from numasync.runtime.rng import choice_in_python

# The paper's network needs at least this many pixels a side for its kernels of 8 x 8 and 4 x 4. A smaller image gets
# the preset of small images.
SMALL_IMAGE = 36

# An axis of an image with at most this many numbers can be its colours.
MOST_COLOURS = 4

# The names under which environments and wrappers keep the most steps of an episode.
LIMIT_NAMES = ("_max_episode_steps", "max_episode_steps", "_max_steps", "max_steps")
# Rewards of these types are numbers at first sight.
REAL_NUMBERS = (float, int, np.floating, np.integer, np.bool_)


class GymEnv(PythonEnv):
    """One Gymnasium environment.

    env_id      the id, as the user wrote it
    family      the family whose preset it has; None: the family that fits its spaces
    flatten     whether to wrap it in Gymnasium's FlattenObservation
    env_kwargs  keywords for what makes it
    source      an EnvSpec of Gymnasium, or a function or a class that makes it; None: Gymnasium finds the id
    channels    the axis of an image that holds the channels, one of CHANNELS

    Raises InputError if it cannot be made or its spaces are not supported.
    """

    def __init__(
        self,
        env_id: str,
        family: str | None = None,
        flatten: bool = False,
        env_kwargs: Mapping[str, Any] | None = None,
        source: Any = None,
        channels: str = "auto",
    ) -> None:
        self.env = make_gymnasium(env_id, source, env_kwargs)
        self.source, self.env_kwargs = source, env_kwargs
        # The number of steps so far, for messages.
        self.steps = 0
        try:
            space = self.env.observation_space
            if flatten:
                check_flattenable(env_id, space)
            self.checker = ObservationChecker(env_id, space, flatten)
            observation, fitting = parse_observation_space(env_id, self.checker.flat, channels)
            observation = dataclasses.replace(observation, flattened=flatten)
            n_actions, bounds = parse_action_space(env_id, self.env.action_space)
        except InputError:
            with contextlib.suppress(Exception):
                self.env.close()
            raise
        fitting = "continuous" if bounds and fitting == "classic" else fitting
        self.max_episode_steps = find_episode_limit(self.env)
        self.metadata = self.env.metadata if isinstance(self.env.metadata, dict) else {}
        self.steps_per_second = as_number(self.metadata.get("render_fps"), 1, 1_000)
        self.draws = False
        how = describe_actions(self.env.action_space)
        super().__init__(EnvSpec(env_id, family or fitting, observation, n_actions, bounds, **how))

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        # Every episode gets a seed from the worker's generator row, so that the row is the only source of randomness.
        result = self.env.reset(seed=choice_in_python(rng, SEEDS))
        if type(result) is not tuple or len(result) != 2:
            text = "observation and info, as in Gymnasium, not only an observation, as in the old Gym"
            raise InputError(f"reset of {self.spec.id} must return a tuple of two: {text}.")
        self.read(result[0], obs, "reset")

    def on_step(self, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[Any, int]:
        self.steps += 1
        result = self.env.step(self.convert_action(action))
        if type(result) is not tuple or len(result) != 5:
            text = "observation, reward, terminated, truncated and info, as in Gymnasium"
            raise InputError(f"step {self.steps} of {self.spec.id} must return a tuple of five: {text}.")
        raw, reward, terminated, truncated, _ = result
        self.read(raw, obs, "step")
        if not isinstance(reward, REAL_NUMBERS) or not math.isfinite(reward):
            reward = self.parse_reward(reward)
        return reward, TERMINATED if terminated else TRUNCATED if truncated else RUNNING

    def read(self, raw: Any, obs: np.ndarray, name: str) -> None:
        """Check an observation and write it into obs. Raises InputError where it is not in its space.

        raw   what the environment returned
        obs   float32 (inputs,)
        name  the call that returned it, 'reset' or 'step'
        """
        try:
            raw = self.checker.convert(raw)
            self.spec.observation.encode(raw, obs)
            self.checker.check_numbers(obs, self.spec.observation)
        except InputError as error:
            call = f"step {self.steps}" if name == "step" else f"reset after step {self.steps}"
            raise InputError(f"{call} of {self.spec.id} returned {error}") from None

    def parse_reward(self, reward: Any) -> float:
        """Return a reward as a float: a number of Python, NumPy or another library, also an array that holds one.

        Raises InputError where it is something else, or not finite.
        """
        try:
            array = np.asarray(reward)
            number = array.dtype.kind in "biuf" or (array.dtype.kind == "O" and hasattr(reward, "__float__"))
            value = float(array.reshape(())[()]) if number else math.nan
        except Exception:  # another library's object can raise anything
            value = math.nan
        if not math.isfinite(value):
            text = f"returned the reward {describe_value(reward)}, which must be one finite number"
            raise InputError(f"step {self.steps} of {self.spec.id} {text}.")
        return value

    def convert_action(self, action: Any) -> Any:
        """Return an action as Gymnasium expects it.

        An integer counts from the start of its space. An array has the shape and the dtype of its space; real numbers
        are clipped to its bounds.
        """
        if self.spec.multi_discrete:
            return self.spec.env_action(action, None)
        space: Any = self.env.action_space
        if not self.spec.continuous:
            return space.start + int(action)
        return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)

    def prepare_pictures(self) -> bool:
        """Make the environment again, with the pictures that it draws, and draw one to see that nothing is missing.

        A function or a class decides itself whether its environment draws.
        """
        if self.env.render_mode != "rgb_array":
            if "rgb_array" not in (self.metadata.get("render_modes") or ()) or callable(self.source):
                return False
            self.env.close()
            kwargs = {**(self.env_kwargs or {}), "render_mode": "rgb_array"}
            self.env = make_gymnasium(self.spec.id, self.source, kwargs)
        self.draws = True
        self.env.reset(seed=0)
        self.picture()
        return True

    def picture(self) -> np.ndarray | None:
        if not self.draws:
            return None
        try:
            picture = np.asarray(self.env.render())
        except (Exception, SystemExit) as error:
            raise InputError(f"{self.spec.id} cannot be drawn: {one_line(error)}") from error
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            found = f"{picture.dtype} of shape {picture.shape}"
            raise InputError(f"{self.spec.id} draws {found}; it must be uint8 of shape (height, width, 3).")
        return picture

    def release(self) -> None:
        self.env.close()


def check_flattenable(env_id: str, space: spaces.Space) -> None:
    """Raise InputError, with the space, where its observations cannot be flattened to numbers."""
    part = unflattenable_part(space)
    if part:
        raise InputError(
            f"{env_id} has the observation space {describe_space(space)}, which --flatten (flatten=True) cannot turn "
            f"into numbers, because {part}; a gymnasium.ObservationWrapper can leave that out."
        )


def parse_action_space(env_id: str, space: spaces.Space) -> tuple[int, Bounds | None]:
    """Return the n_actions and bounds of an EnvSpec. Raises InputError if the space is not supported."""
    if isinstance(space, spaces.Discrete):
        return int(space.n), None
    if isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
        return math.prod(space.shape), None
    if not isinstance(space, spaces.Box):
        raise InputError(
            f"{env_id} has {type(space).__name__} actions, which are not supported; Discrete, MultiDiscrete, "
            f"MultiBinary and Box actions are."
        )
    low, high = (tuple(map(float, bound.reshape(-1))) for bound in (space.low, space.high))
    return int(np.prod(space.shape)), (low, high)


def describe_actions(space: spaces.Space) -> dict[str, Any]:
    """Return how a space of actions writes an action: the last fields of an EnvSpec."""
    if isinstance(space, spaces.Discrete):
        return {"action_start": int(space.start)}
    shape = tuple(int(n) for n in space.shape or ())
    how = {"action_shape": None if len(shape) == 1 else shape, "action_dtype": str(space.dtype)}
    if isinstance(space, spaces.MultiDiscrete):
        nvec, start = (tuple(map(int, numbers.reshape(-1))) for numbers in (space.nvec, space.start))
        return {**how, "nvec": nvec, "action_start": start}
    if isinstance(space, spaces.MultiBinary):
        return {**how, "nvec": (2,) * math.prod(shape)}
    return how


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


def parse_observation_space(env_id: str, space: spaces.Space, channels: str = "auto") -> tuple[Observation, str]:
    """Return the Observation of an EnvSpec and the family whose preset fits it. channels: as in GymEnv.

    Warns where nothing says which axis of an image holds the channels. Raises InputError if the space is not supported.
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
    unsigned = np.issubdtype(space.dtype, np.unsignedinteger)
    kind = image_kind(shape, channels) if len(shape) != 2 or unsigned or space.dtype == np.bool_ else "vector"
    if channels == "auto" and is_ambiguous(shape):
        taken, other = ("first", "last") if kind == "channels_first" else ("last", "first")
        warn_of(
            f"{env_id} has images of shape {shape}, and numasync takes the {taken} axis of an image for its channels; "
            f"--channels {other} (channels={other!r}) takes the {other}, and --channels {taken} ends this warning."
        )
    # Pixels fill the range of their dtype, and so does the RAM of a console, in bytes. Other numbers are not scaled.
    scale = 1.0
    if space.dtype == np.uint8 or (unsigned and kind != "vector"):
        scale = 1.0 / float(np.iinfo(space.dtype).max)
    observation = Observation(kind, shape, scale)
    if kind == "vector":
        return observation, "classic"
    return observation, "image" if min(observation.network_shape[:2]) < SMALL_IMAGE else "atari"


def image_kind(shape: tuple[int, ...], channels: str = "auto") -> str:
    """Return the kind of an Observation whose raw observations have this shape: which axis holds the channels.

    (height, width)            an image
    three axes                 an image. Channels are last or first. They are first where the last two axes are equal
                               and the first two are not, as in (4, 84, 84). Where no two neighbours are equal, they
                               are first if the first axis is the shortest, as in (3, 210, 160). Otherwise they are
                               last, as in (10, 10, 4) and (8, 8, 8)
    four axes                  a stack of such images, as FrameStackObservation makes it
    any other number of axes   'vector': not an image

    channels  'first' and 'last' say which axis of an image with three axes it is; 'auto': as above
    """
    if len(shape) == 4:
        return "channels_first" if image_kind(shape[1:], channels) == "channels_first" else "stack"
    if len(shape) == 3 and channels != "auto":
        return "channels_first" if channels == "first" else "image"
    if len(shape) == 3:
        first, second, third = shape
        square_last, square_first = second == third != first, first == second != third
        shortest = first < min(second, third)
        return "channels_first" if square_last or (shortest and not square_first) else "image"
    return "image" if len(shape) == 2 else "vector"


def is_ambiguous(shape: tuple[int, ...]) -> bool:
    """Return whether nothing tells which axis of an image holds the channels.

    It is clear where the other two axes are equal. It is clear too where the first or the last axis is small:
    it alone has at most MOST_COLOURS numbers, or it has at most half the numbers of each other axis.
    """
    if len(shape) not in (3, 4):
        return False
    first, second, third = shape[-3:]
    square = (first == second) != (second == third)
    shortest, other = sorted((first, third))
    return not (square or shortest <= MOST_COLOURS < other or 2 * shortest <= min(second, other))
