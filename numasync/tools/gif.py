"""An episode as an animated GIF."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.files import write_atomically
from numasync.tools.frames import Frame
from numasync.tools.pictures import enlarge

GIF_SIDE = 320  # pixels of the longer side of a GIF; nearly, because a cell has whole pixels
MOST_COLOURS = 256


def import_pillow() -> ModuleType:
    """Return Pillow's module Image. Raises InputError where it is missing."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError('Writing a GIF needs Pillow; pip install "numasync[gif]" installs it.') from error
    return Image


def write_gif(
    episode: Iterable[Frame], take_picture: Callable[[Frame], np.ndarray], fps: int, path: str | os.PathLike
) -> Frame:
    """Write an episode as an animated GIF, whole or not at all, and return its last frame.

    episode       its frames
    take_picture  returns the picture of the last frame, uint8 (height, width, 3)
    fps           frames per second
    path          the file

    Raises InputError where the file cannot be written.
    """
    image = import_pillow()
    pictures = []
    for frame in episode:
        pictures.append(make_page(take_picture(frame), image))
    options: dict[str, Any] = dict(save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)
    try:
        write_atomically(Path(path), lambda file: pictures[0].save(file, format="GIF", **options))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return frame


def make_page(picture: np.ndarray, image: ModuleType) -> Any:
    """Return a picture as a page of a GIF, enlarged. Up to 256 colours stay exactly as they are.

    picture  uint8 (height, width, 3)
    image    Pillow's module
    """
    red, green, blue = (picture[:, :, i].astype(np.uint32) for i in range(3))
    colours, cells = np.unique((red << 16) | (green << 8) | blue, return_inverse=True)
    if len(colours) > MOST_COLOURS:
        return image.fromarray(enlarge(picture, GIF_SIDE)).quantize(MOST_COLOURS)
    page = image.fromarray(enlarge(cells.reshape(picture.shape[:2]).astype(np.uint8), GIF_SIDE))
    page.putpalette(np.stack([colours >> 16, colours >> 8, colours], axis=1).astype(np.uint8).tobytes())
    return page
