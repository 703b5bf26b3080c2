"""From what an environment returns to one float32 row of network inputs; kept in the checkpoint, so that `predict`
sees what learning saw."""

from dataclasses import dataclass

import numpy as np

from numasync.errors import InputError
from numasync.jit import FLOAT, kernel


@dataclass(frozen=True)
class Observation:
    """kind: how a raw observation of `shape` is encoded; scale: the factor on its numbers.

    'vector': flattened. 'image': (height, width[, channels]). 'frames': a stack (frames, height, width), turned to
    channels last. 'discrete': an integer from `start` on, one-hot over shape[0].
    """

    kind: str
    shape: tuple
    scale: float = 1.0
    start: int = 0

    @property
    def network_shape(self):
        """The input shape of a network for this observation: (n,) or (height, width, channels)."""
        if self.kind == "frames":
            return (*self.shape[1:], self.shape[0])
        if self.kind == "image":
            return self.shape if len(self.shape) == 3 else (*self.shape, 1)
        return (int(np.prod(self.shape)),)

    def encode(self, raw, out):
        """Write raw observation into out, float32 (inputs,)."""
        if self.kind == "frames":
            channels_last(raw, FLOAT(self.scale), out)
        elif self.kind == "discrete":
            out[:] = FLOAT(0)
            out[int(raw) - self.start] = FLOAT(1)
        else:
            np.multiply(np.asarray(raw).reshape(-1), FLOAT(self.scale), out=out, casting="unsafe")

    def check(self, raw):
        """Raise InputError unless raw could be an observation of this kind."""
        if self.kind == "discrete":
            fits = np.ndim(raw) == 0 and 0 <= int(raw) - self.start < self.shape[0]
            expected = f"an integer from {self.start} to {self.start + self.shape[0] - 1}"
        else:
            fits = np.shape(raw) == tuple(self.shape)
            expected = f"an array of shape {tuple(self.shape)}"
        if not fits:
            raise InputError(f"The observation has shape {np.shape(raw)}, value or type apart; it must be {expected}.")


@kernel
def channels_last(frames, scale, out):
    """out[y, x, c] = scale frames[c, y, x]. frames: uint8 (channels, height, width); out: flat float32."""
    if frames.shape[0] == 4:
        # Atari's stack. Where the compiler sees the number, it interleaves whole vectors: four times as fast.
        interleave(frames, 4, scale, out)
    else:
        interleave(frames, frames.shape[0], scale, out)


@kernel
def interleave(frames, channels, scale, out):
    _, height, width = frames.shape
    for y in range(height):
        row = out[y * width * channels : (y + 1) * width * channels]
        for x in range(width):
            for c in range(channels):
                row[x * channels + c] = scale * frames[c, y, x]
