"""An episode as an MP4 video. The program ffmpeg encodes it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from numasync.errors import InputError, one_line
from numasync.runtime.files import write_atomically
from numasync.tools.frames import Frame
from numasync.tools.pictures import enlarge

VIDEO_SIDE = 640  # pixels of the longer side; nearly, because a pixel of the picture becomes a square of whole pixels
QUALITY = 18  # of x264: 0 is without loss, 51 the worst


def find_ffmpeg() -> str:
    """Return the path of the program ffmpeg. Raises InputError where it is missing."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        text = 'Writing a video needs ffmpeg; pip install "numasync[video]" installs it.'
        raise InputError(text) from error


def write_video(
    episode: Iterable[Frame], take_picture: Callable[[Frame], np.ndarray], fps: int, path: str | os.PathLike
) -> Frame:
    """Write an episode as an MP4 video, whole or not at all, and return its last frame.

    episode       its frames
    take_picture  returns the picture of the last frame, uint8 (height, width, 3)
    fps           frames per second
    path          the file

    Raises InputError where the file cannot be written.
    """
    ffmpeg = find_ffmpeg()
    try:
        with tempfile.TemporaryDirectory(prefix="numasync-video-") as folder:
            part = Path(folder, "episode.mp4")
            last = encode(episode, take_picture, fps, ffmpeg, part)
            with open(part, "rb") as file:
                write_atomically(Path(path), lambda target: shutil.copyfileobj(file, target))
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return last


def encode(
    episode: Iterable[Frame], take_picture: Callable[[Frame], np.ndarray], fps: int, ffmpeg: str, part: Path
) -> Frame:
    """Write an episode to a new file and return its last frame. The arguments are as in `write_video`.

    Raises OSError where ffmpeg fails, InputError where the pictures change their size.
    """
    encoder: Encoder | None = None
    try:
        for frame in episode:
            picture = make_even(enlarge(take_picture(frame), VIDEO_SIDE))
            encoder = encoder or Encoder(ffmpeg, picture.shape, fps, part)
            encoder.add(picture)
        assert encoder, "an episode has a first frame"
        encoder.finish()
    finally:
        if encoder:
            encoder.close()
    return frame


class Encoder:
    """The program ffmpeg, which gets pictures on its standard input and writes a video.

    ffmpeg  the path of the program
    shape   (height, width, 3) of every picture, even numbers of pixels
    fps     pictures per second
    part    the file
    """

    def __init__(self, ffmpeg: str, shape: tuple[int, ...], fps: int, part: Path) -> None:
        self.shape = shape
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (`close` closes it)
        # A session of its own: Ctrl-C comes to this program alone, which then ends ffmpeg.
        self.process = subprocess.Popen(
            make_command(ffmpeg, shape[1], shape[0], fps, part),
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def add(self, picture: np.ndarray) -> None:
        """Add a picture, uint8 (height, width, 3). Raises InputError where it has another size, OSError for ffmpeg."""
        if picture.shape != self.shape:
            raise InputError(f"The pictures change their size, from {self.shape} to {picture.shape}.")
        assert self.process.stdin
        try:
            self.process.stdin.write(picture.tobytes())
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        """Wait until the file is written. Raises OSError, with ffmpeg's last words, where it cannot be."""
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        if self.process.returncode:
            self.log.seek(0)
            raise OSError(f"ffmpeg failed: {one_line(self.log.read() or 'it says nothing').rstrip('.')}")

    def close(self) -> None:
        """End ffmpeg, if it still runs."""
        self.process.kill()
        self.process.wait()
        self.log.close()


def make_command(ffmpeg: str, width: int, height: int, fps: int, part: Path) -> list[str]:
    """Return the command that encodes the pictures on its standard input.

    ffmpeg         the program
    width, height  of a picture, even numbers
    fps            pictures per second
    part           the file that it writes
    """
    pictures = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i -"
    video = f"-an -c:v libx264 -pix_fmt yuv420p -crf {QUALITY} -movflags +faststart"
    return [ffmpeg, "-loglevel", "error", *pictures.split(), *video.split(), os.fspath(part)]


def make_even(picture: np.ndarray) -> np.ndarray:
    """Return a picture with an even height and width, as the encoder needs them. The last row or column is repeated."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
