"""Pictures of an episode in colour, and the files that they go to."""

import os
from pathlib import Path

import numpy as np

from numasync.envs.observation import Observation
from numasync.envs.spec import Environment
from numasync.errors import InputError
from numasync.runtime.files import is_special
from numasync.tools.frames import Frame, is_picture, make_cells, palette_of, to_bytes

RGB = 3


def check_picture_path(path: str | os.PathLike, ending: str) -> None:
    """Raise InputError unless a file of pictures can be at this path. ending: of its name, such as '.gif'."""
    path = Path(path)
    if path.suffix.lower() != ending:
        raise InputError(f"{path} does not end in {ending}; --gif writes a .gif file, --video an .mp4 file.")
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the file itself, such as {path / f'episode{ending}'}.")
    if is_special(path):
        raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name another {ending} file.")
    if not os.path.isdir(path.parent):
        raise InputError(f"There is no folder {path.parent} for {path.name}; make it first.")


def prepare_pictures(env: Environment) -> None:
    """Prepare an environment for `take_picture`, before its first reset.

    Raises InputError where it has no pictures, or a package is missing that draws them.
    """
    if not env.prepare_pictures() and not is_picture(env.spec.observation):
        raise InputError(
            f"{env.spec.id} has no picture to write: its observations are numbers; watch it without --gif and --video, "
            "or in Gymnasium's version ('gymnasium:ID') if there is one."
        )


def take_picture(env: Environment, frame: Frame) -> np.ndarray:
    """Return what there is to see now, uint8 (height, width, 3): what the environment draws, else its observation.

    env    the environment, after `prepare_pictures`
    frame  its last frame
    """
    picture = env.picture()
    return draw_observation(frame.obs, env.spec.observation) if picture is None else picture


def draw_observation(obs: np.ndarray, observation: Observation) -> np.ndarray:
    """Return an encoded picture in colour, uint8 (height, width, 3): a board, or the last frame of a screen.

    obs          float32 (inputs,)
    observation  how it is encoded
    """
    if observation.is_screen and channels_of(observation) == RGB:
        return to_bytes(observation.decode(obs)[:, :, -RGB:])
    return palette_of(observation)[make_cells(obs, observation)]


def channels_of(observation: Observation) -> int:
    """Return how many channels one frame of a picture has."""
    if observation.kind == "channels_first":
        return observation.shape[-3]
    return observation.shape[-1] if len(observation.shape) > 2 and observation.kind != "frames" else 1


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """Return a picture, (height, width, ...), whose pixels are squares, so that its longer side is nearly `side`."""
    scale = max(1, round(side / max(picture.shape[:2])))
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)
