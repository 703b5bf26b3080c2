"""From what an environment returns to one float32 row of network inputs; kept in the checkpoint, so that `predict`
sees what learning saw."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from numasync.errors import InputError
from numasync.runtime.jit import FLOAT, kernel


@dataclass(frozen=True)
class Observation:
    """kind: how a raw observation of `shape` is encoded; a number x of it becomes scale (x - mean).

    mean: of a screen alone, float32, of the shape of one frame or, where there is no stack, of `shape`; None for 0.
    'vector': flattened. 'image': (height, width[, channels]). 'frames': a stack (frames, height, width), turned to
    channels last, frames that are blank stay 0. 'discrete': an integer from `start` on, one-hot over shape[0].
    'multi_discrete': such an integer for each of `shape` and `start`, their one-hots in a row.
    flattened: as Gymnasium's FlattenObservation returns it, for a Dict or Tuple.
    """

    kind: str
    shape: tuple
    scale: float = 1.0
    start: int | tuple = 0
    mean: np.ndarray | None = field(default=None, compare=False, repr=False)
    flattened: bool = False

    @property
    def is_screen(self):
        """Whether the numbers are the bytes of a picture; other images are boards, a channel for each kind of thing."""
        return self.kind in ("frames", "image") and self.scale != 1.0

    @property
    def network_shape(self):
        """The input shape of a network for this observation: (n,) or (height, width, channels)."""
        if self.kind == "frames":
            return (*self.shape[1:], self.shape[0])
        if self.kind == "image":
            return self.shape if len(self.shape) == 3 else (*self.shape, 1)
        if self.kind == "multi_discrete":
            return (sum(self.shape),)
        return (int(np.prod(self.shape)),)

    @property
    def mean_shape(self):
        """The shape of `mean`: the frames of a stack share one."""
        return self.shape[1:] if self.kind == "frames" else self.shape

    @cached_property
    def frame_mean(self):
        """`mean`, or zeros of its shape; made once, because every step needs it."""
        return np.zeros(self.mean_shape, FLOAT) if self.mean is None else self.mean

    def encode(self, raw, out):
        """Write raw observation into out, float32 (inputs,)."""
        if self.kind == "frames":
            channels_last(raw, self.frame_mean, FLOAT(self.scale), out)
        elif self.kind == "discrete":
            out[:] = FLOAT(0)
            out[int(raw) - self.start] = FLOAT(1)
        elif self.kind == "multi_discrete":
            out[:] = FLOAT(0)
            first = np.cumsum((0, *self.shape[:-1]))
            out[first + np.asarray(raw, np.int64).reshape(-1) - self.start] = FLOAT(1)
        else:
            np.multiply(np.asarray(raw).reshape(-1), FLOAT(self.scale), out=out, casting="unsafe")
            if self.mean is not None:
                out -= FLOAT(self.scale) * self.mean.reshape(-1)

    def decode(self, obs):
        """The numbers of an encoded observation as they were before, in its network_shape; not of a discrete one."""
        raw = obs.reshape(self.network_shape) / FLOAT(self.scale)
        return raw if self.mean is None else raw + self.mean.reshape(*raw.shape[:2], -1)

    def check(self, raw):
        """Raise InputError unless raw could be an observation of this kind."""
        if self.kind == "discrete":
            fits = np.ndim(raw) == 0 and 0 <= int(raw) - self.start < self.shape[0]
            expected = f"an integer from {self.start} to {self.start + self.shape[0] - 1}"
        elif self.kind == "multi_discrete":
            offsets = np.asarray(raw).reshape(-1) - self.start if np.size(raw) == len(self.shape) else np.array([-1])
            fits = ((offsets >= 0) & (offsets < self.shape)).all()
            expected = f"{len(self.shape)} integers from {self.start} on, fewer than {self.shape} of each"
        else:
            fits = np.shape(raw) == tuple(self.shape)
            expected = f"an array of shape {tuple(self.shape)}"
        if not fits:
            raise InputError(f"The observation has shape {np.shape(raw)}, value or type apart; it must be {expected}.")


@kernel
def channels_last(frames, mean, scale, out):
    """out[y, x, c] = scale (frames[c, y, x] - mean[y, x]); 0 for a frame of zeros, which stands for one of before the
    episode. frames: uint8 (channels, height, width); mean: (height, width); out: flat."""
    if frames.shape[0] == 4:
        # Atari's stack. Where the compiler sees the number, it interleaves whole vectors: four times as fast.
        interleave(frames, mean, 4, scale, out)
    else:
        interleave(frames, mean, frames.shape[0], scale, out)
    for c in range(frames.shape[0]):
        if is_blank(frames[c]):
            for i in range(c, out.size, frames.shape[0]):
                out[i] = FLOAT(0)


@kernel
def is_blank(frame):
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            if frame[y, x] != 0:
                return False
    return True


@kernel
def interleave(frames, mean, channels, scale, out):
    _, height, width = frames.shape
    for y in range(height):
        row = out[y * width * channels : (y + 1) * width * channels]
        for x in range(width):
            for c in range(channels):
                row[x * channels + c] = scale * (FLOAT(frames[c, y, x]) - mean[y, x])
