"""A frame of an episode, and the picture or the text that it becomes."""

from typing import NamedTuple

import numpy as np

from numasync.envs.observation import Observation

# The colours of the channels of a board. A cell has the colour of its highest channel that is set, or is black.
COLOURS = (
    (0x42, 0xD4, 0xF4),
    (0xFF, 0xE1, 0x19),
    (0x91, 0x82, 0x4A),
    (0xE6, 0x19, 0x4B),
    (0x3C, 0xB4, 0x4B),
    (0xF5, 0x82, 0x31),
    (0xF0, 0x32, 0xE6),
    (0x43, 0x63, 0xD8),
    (0xFF, 0xFF, 0xFF),
    (0xDC, 0xBE, 0xFF),
)
# By the value of a cell, see `make_cells`: the colour, uint8 (256, 3), and the character.
BOARD_PALETTE = np.array([(0, 0, 0), *(COLOURS[i % len(COLOURS)] for i in range(255))], np.uint8)
BOARD_CHARACTERS = "." + "".join("123456789abcdefghijklmnopqrstuvwxyz"[i % 35] for i in range(255))
# The brightest pixel of a picture on the screen.
WHITE = 255
GREY_PALETTE = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)
GREY_CHARACTERS = "".join(" .:-=+*#%@"[i * 10 // 256] for i in range(256))


class Frame(NamedTuple):
    """What there is to see after a step.

    obs     float32 (inputs,); the next step overwrites it
    step    the number of steps so far
    action  the action of the step; None before the first step
    reward  the reward of the step
    score   the sum of unclipped rewards so far
    """

    obs: np.ndarray
    step: int
    action: int | np.ndarray | None
    reward: float
    score: float


def status_line(frame: Frame) -> str:
    """Return the number of the step, its action and reward, and the score."""
    action = "-" if frame.action is None else np.round(frame.action, 2)
    reward, score = format_number(frame.reward), format_number(frame.score)
    return f"step {frame.step}  action {action}  reward {reward}  score {score}"


def format_vector(obs: np.ndarray, observation: Observation) -> str:
    """Return an encoded observation as the environment returned it: numbers, or the integer of a one-hot vector."""
    if observation.kind == "discrete":
        return str(int(np.argmax(obs)) + observation.start)
    return " ".join(f"{x:.4g}" for x in observation.decode(obs).flat)


def format_number(x: float) -> str:
    """Return a number in as few digits as it needs, without the rounding errors of a sum."""
    return f"{x:.10g}"


def is_picture(observation: Observation) -> bool:
    """Return whether observations are pictures: boards or screens."""
    return observation.is_image


def palette_of(observation: Observation) -> np.ndarray:
    """Return the colour of each value of a cell: uint8 (256, 3)."""
    return GREY_PALETTE if observation.is_screen else BOARD_PALETTE


def characters_of(observation: Observation) -> str:
    """Return the character of each value of a cell: 256 characters."""
    return GREY_CHARACTERS if observation.is_screen else BOARD_CHARACTERS


def make_cells(obs: np.ndarray, observation: Observation) -> np.ndarray:
    """Return an encoded picture as cells with one value each: uint8 (height, width).

    A cell of a screen is its brightness: the last of a stack of frames, or the mean of the colours of an image. A cell
    of a board is one more than its highest channel that is set, or 0 where none is set.
    """
    values = observation.decode(obs)
    if observation.kind == "frames":
        values = values[:, :, -1:]
    if observation.is_screen:
        return to_bytes(values.mean(axis=2))
    return np.where(values != 0, np.arange(1, values.shape[2] + 1), 0).max(axis=2).astype(np.uint8)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Return the numbers of pixels, in any shape, as bytes."""
    if values.max() > WHITE:  # pixels of 16 bits or more
        values = values * (WHITE / np.iinfo(np.min_scalar_type(int(values.max()))).max)
    return np.rint(values).astype(np.uint8)


def shrink(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return cells (height, width) made smaller by a whole factor, the least one with which they fit.

    Of a block of cells the highest value stays, so that no ball is lost.

    cells          uint8 (rows, columns)
    height, width  the room for them
    """
    factor = max(1, -(-cells.shape[0] // max(height, 1)), -(-cells.shape[1] // max(width, 1)))
    padded = np.pad(cells, [(0, -n % factor) for n in cells.shape])
    rows, columns = (n // factor for n in padded.shape)
    return padded.reshape(rows, factor, columns, factor).max(axis=(1, 3))
