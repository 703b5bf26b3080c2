"""An episode on a terminal, redrawn in place, or line by line through a pipe."""

import contextlib
import os
import shutil
import time
from collections.abc import Generator, Iterable
from typing import TextIO

import numpy as np

from numasync.envs.observation import Observation
from numasync.tools.frames import (
    Frame,
    characters_of,
    format_vector,
    is_picture,
    make_cells,
    palette_of,
    shrink,
    status_line,
)

TEXT_SIDE = 42  # cells of the longer side in plain text: half an Atari frame

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
UP, REST_OF_LINE, PLAIN = "\x1b[{}A", "\x1b[K", "\x1b[0m"


def show(episode: Iterable[Frame], observation: Observation, fps: int, out: TextIO) -> Frame:
    """Show an episode and return its last frame.

    episode      its frames
    observation  how they are encoded
    fps          frames per second on a terminal; a pipe gets them without waiting
    out          where to write: in place and in colour on a terminal that has colours, else line by line
    """
    terminal = out.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    draw = draw_in_place if colour else print_frames
    # A Ctrl-C leaves the generator at its yield. Only closing it shows the cursor again before the program ends.
    with contextlib.closing(draw(episode, observation, out)) as shown:
        for frame in shown:
            last = frame
            if terminal:
                time.sleep(1 / fps)
    return last


def draw_in_place(episode: Iterable[Frame], observation: Observation, out: TextIO) -> Generator[Frame, None, None]:
    """Draw each frame over the one before, and yield it. The cursor is hidden until the end.

    The arguments are as in `show`.
    """
    columns, lines = shutil.get_terminal_size()
    drawn = 0
    try:
        out.write(HIDE_CURSOR)
        for frame in episode:
            # A line that wraps, or a screen that scrolls, would leave the beginning of the frame on the screen.
            text = [*colour_lines(frame.obs, observation, columns, lines - 2), status_line(frame)[: columns - 1]]
            up = UP.format(drawn) if drawn else ""
            out.write(up + "".join(f"{line}{REST_OF_LINE}\n" for line in text))
            out.flush()
            drawn = len(text)
            yield frame
    finally:
        out.write(PLAIN + SHOW_CURSOR)
        out.flush()


def colour_lines(obs: np.ndarray, observation: Observation, columns: int, lines: int) -> list[str]:
    """Return an observation as lines for a terminal: a picture in coloured cells of two spaces, or a line of numbers.

    obs             float32 (inputs,)
    observation     how it is encoded
    columns, lines  the room for it
    """
    if not is_picture(observation):
        return [format_vector(obs, observation)[: columns - 1]]
    palette = palette_of(observation)
    rows = shrink(make_cells(obs, observation), lines, (columns - 1) // 2)
    return ["".join("\x1b[48;2;{};{};{}m  ".format(*palette[cell]) for cell in row) + PLAIN for row in rows]


def print_frames(episode: Iterable[Frame], observation: Observation, out: TextIO) -> Generator[Frame, None, None]:
    """Print each frame below the one before, and yield it: a character for each cell, or a line of numbers.

    The arguments are as in `show`.
    """
    characters = characters_of(observation)
    for frame in episode:
        if is_picture(observation):
            rows = shrink(make_cells(frame.obs, observation), TEXT_SIDE, TEXT_SIDE)
            text = ["".join(characters[cell] for cell in row) for row in rows]
            print(*text, status_line(frame), sep="\n", file=out, flush=True)
        else:
            vector = format_vector(frame.obs, observation)
            print(f"{status_line(frame)}  observation {vector}", file=out, flush=True)
        yield frame
