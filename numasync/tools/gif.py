"""An episode as an animated GIF."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from numasync.envs.spec import EnvSpec
from numasync.errors import InputError
from numasync.runtime.files import is_special, write_atomically
from numasync.tools.frames import Frame, is_picture, make_cells, palette_of

GIF_SIDE = 240  # pixels of the longer side of a GIF; nearly, because a cell has whole pixels


def check_gif_path(path: str | os.PathLike) -> None:
    """Raise InputError unless a GIF can be at this path."""
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise InputError(f"{path} does not end in .gif; an episode is written as GIF only.")
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the GIF file itself, such as {path / 'episode.gif'}.")
    if is_special(path):
        raise InputError(f"{path} is no file, but a pipe, a device or a link to itself; name another GIF file.")
    if not os.path.isdir(path.parent):
        raise InputError(f"There is no folder {path.parent} for {path.name}; make it first.")


def import_pillow() -> ModuleType:
    """Return Pillow's module Image. Raises InputError where it is missing."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError('Writing a GIF needs Pillow; pip install "numasync[gif]" installs it.') from error
    return Image


def write_gif(episode: Iterable[Frame], spec: EnvSpec, fps: int, path: str | os.PathLike) -> Frame:
    """Write an episode as an animated GIF, whole or not at all, and return its last frame.

    episode  its frames
    spec     the environment
    fps      frames per second
    path     the file

    Raises InputError, before a frame is asked for, where the observations are no pictures; and where the file cannot be
    written.
    """
    if not is_picture(spec.observation):
        raise InputError(f"{spec.id} has no picture to write: its observations are numbers; watch it without --gif.")
    image = import_pillow()
    palette = palette_of(spec.observation).tobytes()
    pictures = []
    for frame in episode:
        cells = make_cells(frame.obs, spec.observation)
        scale = max(1, round(GIF_SIDE / max(cells.shape)))
        picture = image.fromarray(cells.repeat(scale, axis=0).repeat(scale, axis=1))
        picture.putpalette(palette)
        pictures.append(picture)
    options: dict[str, Any] = dict(save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)
    try:
        write_atomically(Path(path), lambda file: pictures[0].save(file, format="GIF", **options))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return frame
