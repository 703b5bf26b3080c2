"""Whether an observation lies in its Gymnasium space, asked at every reset and step, and what a message says if not.

`Space.contains` of Gymnasium does not say what is wrong, and refuses what is common and harmless, such as a float64
array for a float32 space.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from numasync.envs.observation import Observation
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT, compile_for, float32_1d, kernel

LONGEST_SPACE, LONGEST_VALUE = 150, 60

# Environments in wide use leave the bounds of their real numbers by a little, and learning does not need the bounds.
# So that is a warning, and an error from this many times the width of the bounds on.
FAR = 100.0
LARGEST = np.finfo(FLOAT).max


@kernel
def within(obs, low, high):
    """Return whether every number of obs lies from low to high. NaN lies nowhere."""
    inside = True
    for i in range(obs.size):
        inside &= (low[i] <= obs[i]) & (obs[i] <= high[i])
    return inside


class ObservationChecker:
    """The checks of one environment's observations.

    env_id   the id of the environment, for messages
    space    the space of its observations
    flatten  whether `convert` flattens them
    """

    def __init__(self, env_id: str, space: spaces.Space, flatten: bool = False) -> None:
        self.env_id, self.space, self.flatten = env_id, space, flatten
        self.flat: Any = spaces.flatten_space(space) if flatten else space
        self.real = isinstance(self.flat, spaces.Box) and self.flat.dtype.kind == "f"
        # Where a whole number may be anything that its dtype can hold, there is nothing to compare.
        bounds = whole_bounds(space)
        limits = None if space.dtype is None or space.dtype.kind not in "iu" else np.iinfo(space.dtype)
        free = bounds and limits and np.all(bounds[0] == limits.min) and np.all(bounds[1] == limits.max)
        self.bounds = None if free else bounds
        # Kept here, because `shape` of a space is computed, and every step asks for it.
        self.array_shape = () if flatten else space.shape
        self.array_dtype = space.dtype
        self.limits: tuple[np.ndarray, np.ndarray] | None = None
        self.warned = False
        compile_for(within, float32_1d, float32_1d, float32_1d)

    def convert(self, raw: Any) -> Any:
        """Return an observation as `Observation.encode` takes it. Raises InputError where its space does not fit."""
        if not self.fits_at_first_sight(raw):
            offence = find_offence(self.space, raw)
            if offence:
                raise self.error(f"{offence}; its value is {describe_value(raw)}")
        return spaces.flatten(self.space, raw) if self.flatten else raw

    def fits_at_first_sight(self, raw: Any) -> bool:
        """Return whether an observation fits, by a quick look. Where false, `find_offence` looks again."""
        if type(raw) is not np.ndarray:
            if not (isinstance(self.space, spaces.Discrete) and isinstance(raw, (int, np.integer))):
                return False
            return bool(0 <= raw - self.space.start < self.space.n)
        if raw.shape != self.array_shape or raw.dtype is not self.array_dtype or self.flatten:
            return False
        return self.bounds is None or bool(((self.bounds[0] <= raw) & (raw <= self.bounds[1])).all())

    def check_numbers(self, obs: np.ndarray, observation: Observation) -> None:
        """Check that encoded real numbers are finite and lie within their bounds.

        obs          float32 (inputs,), what `observation` made of the observation
        observation  the encoding

        Warns once where a number lies outside. Raises InputError where it lies far outside or is not finite.
        """
        if not self.real:
            return
        if self.limits is None:
            self.limits = encoded_limits(self.flat, observation)
        if not within(obs, *self.limits):
            self.report(obs, observation, *self.limits)

    def report(self, obs: np.ndarray, observation: Observation, low: np.ndarray, high: np.ndarray) -> None:
        """Warn, once, of a number outside its bounds. Raises InputError where it is far outside or not finite."""
        values = observation.decode(obs).reshape(-1)
        bad = np.flatnonzero(~np.isfinite(obs))
        if bad.size:
            raise self.error(f"its numbers must be finite float32 numbers, not {values[bad[0]]}")
        with np.errstate(over="ignore"):
            far = FAR * (high - low)
            worst = np.flatnonzero((obs < low - far) | (obs > high + far))
        if worst.size:
            raise self.error(f"its numbers must lie within the bounds, and {values[worst[0]]:g} is far outside")
        if not self.warned:
            self.warned = True
            text = f"{self.env_id} leaves the bounds of its space {describe_space(self.space)}; numasync goes on."
            warnings.warn(text, UserWarning, stacklevel=2)

    def error(self, text: str) -> InputError:
        """Return the InputError that says what is wrong with an observation. The caller says which call returned it."""
        return InputError(f"an observation that is not in its space {describe_space(self.space)}: {text}.")


def encoded_limits(space: spaces.Box, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest numbers of a space as `observation` encodes them: float32 (inputs,) each."""
    limits = np.zeros((2, int(np.prod(observation.network_shape))), FLOAT)
    for limit, bound in zip(limits, (space.low, space.high)):
        with np.errstate(over="ignore"):
            observation.encode(bound, limit)
    low, high = np.clip(limits, -LARGEST, LARGEST)
    return low, high


def whole_bounds(space: spaces.Space) -> tuple[Any, Any] | None:
    """Return the lowest and the highest values of a space of whole numbers, or None for any other space."""
    if isinstance(space, spaces.Discrete):
        return space.start, space.start + space.n - 1
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if isinstance(space, spaces.MultiBinary):
        return 0, 1
    if isinstance(space, spaces.Box) and space.dtype.kind in "iub":
        return space.low, space.high
    return None


def find_offence(space: spaces.Space, raw: Any) -> str | None:
    """Return what is wrong with an observation of a space, or None if nothing is."""
    if isinstance(space, spaces.Dict):
        if not isinstance(raw, Mapping):
            return f"it must be a dict, not {type(raw).__name__}"
        missing = [key for key in space if key not in raw]
        return f"its part {missing[0]!r} is missing" if missing else find_in_parts(space.spaces, raw)
    if isinstance(space, spaces.Tuple):
        if not isinstance(raw, (tuple, list)) or len(raw) != len(space):
            return f"it must be a tuple of {len(space)} parts"
        return find_in_parts(dict(enumerate(space.spaces)), dict(enumerate(raw)))
    if isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return find_in_numbers(space, raw)
    try:
        return None if space.contains(raw) else "the space does not contain it"
    except Exception as error:  # a space of the user's own can raise anything
        return f"the space cannot read it ({type(error).__name__})"


def find_in_parts(parts: Mapping[Any, spaces.Space], raw: Mapping) -> str | None:
    """Return what is wrong with the first part of an observation that has a mistake, or None."""
    for key, part in parts.items():
        offence = find_offence(part, raw[key])
        if offence:
            return f"in its part {key!r}, {offence}"
    return None


def find_in_numbers(space: spaces.Space, raw: Any) -> str | None:
    """Return what is wrong with an observation of a space of numbers, or None."""
    try:
        array = np.asarray(raw)
    except Exception as error:  # rows of different lengths, or an object's own conversion
        return f"it must be an array ({type(error).__name__})"
    shape = tuple(space.shape or ())
    if array.dtype.kind not in "biuf":
        return f"it must hold numbers, not {type(raw).__name__} of {array.dtype}"
    if array.shape != shape:
        return f"its shape must be {shape}, not {array.shape}"
    bounds = whole_bounds(space)
    if bounds is None:
        return None
    fractions = array[array != np.rint(array)]
    if fractions.size:
        return f"its numbers must be whole ({space.dtype}), not {fractions[0]:g}"
    low, high = (np.broadcast_to(bound, shape) for bound in bounds)
    for i in np.argwhere((array < low) | (array > high))[:1]:
        at = tuple(i)
        return f"a number must lie from {low[at]} to {high[at]}, not {array[at]}"
    return None


def describe_space(space: spaces.Space) -> str:
    """Return the text of a space on one line, without the full stop that NumPy leaves behind a whole float."""
    text = re.sub(r"(?<=\d)\.(?=[\s\]),])", ".0", repr(space))
    return shorten(text, LONGEST_SPACE)


def describe_value(raw: Any) -> str:
    """Return the text of an observation on one line, or how it begins."""
    try:
        array = np.asarray(raw)
        text = str(array.tolist()) if array.dtype.kind in "biuf" else repr(raw)
    except Exception:  # rows of different lengths, or an object's own conversion
        text = type(raw).__name__
    return shorten(text, LONGEST_VALUE)


def shorten(text: str, longest: int) -> str:
    """Return a text on one line, and of a long one the beginning and three points."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest].rstrip()}..."


def unflattenable_part(space: spaces.Space, name: str = "") -> str | None:
    """Return what of a space cannot be flattened to numbers, or None if all of it can.

    name  the name of the space in the one that it is a part of
    """
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        found = (unflattenable_part(part, f"its part {key!r} is ") for key, part in parts)
        return next(filter(None, found), None)
    try:
        flat: Any = spaces.flatten_space(space)
    except Exception:  # a space of the user's own: Gymnasium raises NotImplementedError without a word
        flat = None
    return None if isinstance(flat, spaces.Box) else f"{name or 'it is '}{describe_space(space)}"
