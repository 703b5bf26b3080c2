"""A terminal that tests read."""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path


class Terminal(io.StringIO):
    """A file that says it is a terminal. It keeps all that is written to it."""

    def isatty(self) -> bool:
        return True


def without_colours(text: str) -> str:
    """Return a text without the escape codes of colours. Other escape codes stay."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def screen(text: str) -> list[str]:
    """Return the lines that a person sees once a text was written to a wide terminal, without spaces at their ends."""
    lines: list[list[str]] = [[]]
    column = 0
    for letter in without_colours(text):
        if letter == "\n":
            lines.append([])
        if letter in "\r\n":
            column = 0
        elif letter == "\b":
            column = max(column - 1, 0)
        else:
            lines[-1][column : column + 1] = letter
            column += 1
    return ["".join(line).rstrip() for line in lines]


def play_on_terminal(
    words: list[str], folder: Path, environment: dict[str, str], columns: int, interrupt_at: str = ""
) -> tuple[int, str]:
    """Run a program on a terminal of its own. Return its exit code and all that it writes there.

    words         the command line
    folder        its current folder
    environment   its variables
    columns       the width of the terminal
    interrupt_at  a text at which Ctrl-C is pressed; "" for never
    """
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    streams = dict(stdin=other, stdout=other, stderr=other, start_new_session=True, preexec_fn=take_terminal)
    with subprocess.Popen(words, cwd=folder, env=environment, **streams) as process:
        os.close(other)
        written = b""
        with contextlib.suppress(OSError):  # no process has the terminal any more
            while part := os.read(own, 65536):
                written += part
                if interrupt_at and interrupt_at.encode() in written:
                    os.write(own, b"\x03")
                    interrupt_at = ""
        os.close(own)
        return process.wait(), written.decode()
