"""How an observation of an environment becomes the network's input.

A checkpoint stores this, so that `predict` sees what learning saw.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.checks import as_array, as_number, show
from numasync.runtime.jit import FLOAT, kernel, kernel_or


@dataclass(frozen=True)
class Observation:
    """An encoding of observations. A number x of the raw observation becomes scale (x - mean).

    kind        one of the kinds below
    shape       the shape of a raw observation; of an integer: how many values it has
    scale       the factor
    start       the lowest integer; for 'multi_discrete' a tuple with one for each integer
    mean        only for a screen: float32 `mean_shape`, the mean of each pixel; None for 0
    flattened   whether Gymnasium's FlattenObservation made the raw observation, from a Dict or a Tuple
    normalized  whether the network's first layer normalises the input by a running mean and deviation of each number

    kind              raw observation                       network input
    'vector'          numbers in any shape                  the same numbers in one row
    'image'           (height, width) or with channels      (height, width, channels)
    'channels_first'  (channels, height, width), or         (height, width, channels), or
                      (frames, channels, height, width)     (height, width, frames * channels)
    'stack'           (frames, height, width, channels)     (height, width, frames * channels)
    'frames'          Atari's stack (frames, height, width) (height, width, frames); a blank frame stays 0
    'discrete'        an integer                            one-hot, shape[0] numbers
    'multi_discrete'  len(shape) integers                   their one-hots in one row
    """

    kind: str
    shape: tuple[int, ...]
    scale: float = 1.0
    start: Any = 0
    mean: np.ndarray | None = field(default=None, compare=False, repr=False)
    flattened: bool = False
    normalized: bool = False

    @property
    def is_screen(self) -> bool:
        """Whether the numbers are the pixels of a picture, as bytes.

        Other images are boards, with a channel for each kind of thing.
        """
        return self.is_image and self.scale != 1.0

    @property
    def is_image(self) -> bool:
        """Whether the network's input has a height, a width and channels."""
        return self.kind in ("frames", "image", "channels_first", "stack")

    @property
    def has_integers(self) -> bool:
        """Whether the raw observation is an integer or several, and the network's input their one-hots."""
        return self.kind in ("discrete", "multi_discrete")

    @property
    def channels(self) -> str:
        """Which axis of a raw image holds the channels: 'first' or 'last'; 'auto' where it is no image."""
        if self.kind == "channels_first":
            return "first"
        return "last" if self.kind in ("image", "stack") else "auto"

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape of the network's input: (n,) or (height, width, channels)."""
        if self.kind in ("frames", "channels_first"):
            return (*self.shape[-2:], int(np.prod(self.shape[:-2])))
        if self.kind == "stack":
            return (*self.shape[1:3], self.shape[0] * self.shape[3])
        if self.kind == "image":
            return self.shape if len(self.shape) == 3 else (*self.shape, 1)
        if self.kind == "multi_discrete":
            return (sum(self.shape),)
        return (int(np.prod(self.shape)),)

    @property
    def mean_shape(self) -> tuple[int, ...]:
        """The shape of `mean`. The frames of a stack share one mean."""
        if self.kind == "frames":
            return self.shape[1:]
        return self.network_shape if self.kind in ("channels_first", "stack") else self.shape

    @cached_property
    def frame_mean(self) -> np.ndarray:
        """`mean`, or zeros of its shape. It is made once, because every step needs it."""
        return np.zeros(self.mean_shape, FLOAT) if self.mean is None else self.mean

    @cached_property
    def blank_plane(self) -> np.ndarray:
        """Zeros: the mean for `interleave` where nothing is subtracted from a channel."""
        return np.zeros(self.network_shape[:2], FLOAT)

    def encode(self, raw: Any, out: np.ndarray) -> None:
        """Write the raw observation into out, float32 (inputs,)."""
        if self.kind == "frames":
            encode_frames(raw, self.frame_mean, FLOAT(self.scale), out)
        elif self.kind == "discrete":
            out[:] = FLOAT(0)
            out[int(raw) - self.start] = FLOAT(1)
        elif self.kind == "multi_discrete":
            out[:] = FLOAT(0)
            first = np.cumsum((0, *self.shape[:-1]))
            out[first + np.asarray(raw, np.int64).reshape(-1) - self.start] = FLOAT(1)
        else:
            self.scale_into(np.asarray(raw), out)
            if self.mean is not None:
                out -= FLOAT(self.scale) * self.mean.reshape(-1)

    def encode_batch(self, raw: np.ndarray, out: np.ndarray) -> None:
        """Write n raw observations, one after the other in `raw`, into out, float32 (n, inputs)."""
        if self.kind in ("vector", "image"):
            self.encode(raw, out)  # its operations take a batch as well
        elif self.kind == "discrete":
            out[:] = FLOAT(0)
            out[np.arange(len(raw)), raw.astype(np.int64) - self.start] = FLOAT(1)
        else:
            for each, row in zip(raw, out, strict=True):
                self.encode(each, row)

    def scale_into(self, raw: np.ndarray, out: np.ndarray) -> None:
        """Write scale times raw into out, in the order of the network's input."""
        scale = FLOAT(self.scale)
        if self.kind == "channels_first":
            planes = raw.reshape(-1, *raw.shape[-2:])
            if raw.dtype == np.uint8:  # a kernel takes an eighth of NumPy's time
                interleave(np.ascontiguousarray(planes), self.blank_plane, len(planes), scale, out)
                return
            raw, out = planes.transpose(1, 2, 0), out.reshape(self.network_shape)
        elif self.kind == "stack":
            raw = raw.transpose(1, 2, 0, 3)
            out = out.reshape(raw.shape)
        else:
            raw = raw.reshape(out.shape)
        np.multiply(raw, scale, out=out, casting="unsafe")

    def decode(self, obs: np.ndarray) -> np.ndarray:
        """Return the numbers that were encoded as `obs`, in network_shape. One-hots stay as they are."""
        raw = obs.reshape(self.network_shape) / FLOAT(self.scale)
        return raw if self.mean is None else raw + self.mean.reshape(*raw.shape[:2], -1)

    def _are_values(self, integers: np.ndarray) -> np.ndarray:
        """Return for each number of discrete or multi_discrete observations whether it is one of its values.

        integers: (n,), or (..., len(shape)) where several make an observation.
        """
        offsets = integers - self.start
        return (offsets >= 0) & (offsets < self.shape) & (offsets == np.floor(offsets))

    def count(self, raw: Any) -> int | None:
        """Return how many observations a batch has, or None for one observation alone.

        A batch has one axis more than an observation, in front. An integer is one observation. A vector of integers is
        one observation of the kind 'multi_discrete' and a batch of the kind 'discrete'.

        Raises InputError for what is neither.
        """
        array = as_array(raw)
        if array is not None and array.shape == self.shape and not self.has_integers:
            return None
        if array is None or not self._is_batch(array):
            self.check(raw, " or a batch of them")
            return None
        if not len(array):
            raise InputError("The batch has no observation; it must have one or more.")
        if self.has_integers:
            wrong = ~self._are_values(array.reshape(len(array), -1)).all(axis=1)
            if wrong.any() or array.dtype.kind == "b":
                self.check(array[int(wrong.argmax())])
        return len(array)

    def _is_batch(self, array: np.ndarray) -> bool:
        """Return whether an array has the shape of a batch."""
        if self.kind == "discrete":
            return array.ndim == 1
        if self.kind == "multi_discrete":  # an observation may have several dimensions too
            return array.ndim > 1 and array.size == len(array) * len(self.shape)
        return array.shape[1:] == tuple(self.shape) and array.ndim == len(self.shape) + 1

    def check(self, raw: Any, others: str = "") -> None:
        """Raise InputError unless `raw` can be an observation of this kind. others: what the sentence also allows."""
        array = as_array(raw)
        if self.kind == "discrete":
            fits = isinstance(as_number(raw, self.start, self.start + self.shape[0] - 1), int)
            expected = f"an integer from {self.start} to {self.start + self.shape[0] - 1}"
        elif self.kind == "multi_discrete":
            fits = array is not None and array.size == len(self.shape)
            fits = array is not None and fits and bool(self._are_values(array.reshape(-1)).all())
            highest = tuple((np.add(self.start, self.shape) - 1).tolist())
            expected = f"{len(self.shape)} integers from {self.start} to {highest}"
        else:
            fits = array is not None and array.shape == tuple(self.shape)
            expected = f"an array of shape {tuple(self.shape)}"
        if not fits:
            what = f" is {show(raw)}"
            if array is not None and not self.has_integers:
                what = f", of shape {array.shape}, does not fit"
            raise InputError(f"The observation{what}; it must be {expected}{others}.")


@kernel
def encode_frames(frames, mean, scale, out):
    """Write out[y, x, c] = scale (frames[c, y, x] - mean[y, x]), and 0 for a blank frame.

    A stack has blank frames at the start of an episode, in the place of frames before it.

    frames  uint8 (frames, height, width)
    mean    float32 (height, width)
    scale   float32
    out     float32, flat (height, width, frames)
    """
    if frames.shape[0] == 4:
        # Atari's stack. A constant lets the compiler interleave whole vectors, which is four times as fast.
        interleave(frames, mean, 4, scale, out)
    else:
        interleave(frames, mean, frames.shape[0], scale, out)
    for c in range(frames.shape[0]):
        if is_blank(frames[c]):
            for i in range(c, out.size, frames.shape[0]):
                out[i] = FLOAT(0)


def is_blank_in_numpy(frame):
    """`is_blank` in NumPy."""
    return not frame.any()


@kernel_or(is_blank_in_numpy)
def is_blank(frame):
    """Return whether every pixel of a frame (height, width) is 0."""
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            if frame[y, x] != 0:
                return False
    return True


def interleave_in_numpy(frames, mean, channels, scale, out):
    """`interleave` in NumPy."""
    interleaved = out.reshape(*mean.shape, channels)
    np.subtract(frames.transpose(1, 2, 0), mean[:, :, None], out=interleaved)
    interleaved *= scale


@kernel_or(interleave_in_numpy)
def interleave(frames, mean, channels, scale, out):
    """Write out[y, x, c] = scale (frames[c, y, x] - mean[y, x]). channels: frames.shape[0]."""
    _, height, width = frames.shape
    for y in range(height):
        row = out[y * width * channels : (y + 1) * width * channels]
        for x in range(width):
            for c in range(channels):
                row[x * channels + c] = scale * (FLOAT(frames[c, y, x]) - mean[y, x])
