"""Lines of text on the standard output, and numbers as text.

Besides this file only `numasync watch`, the benchmark and the command line print.
"""

import os
import sys
from typing import TextIO

from numasync.errors import warn_of

# On these terminals a line cannot be rewritten.
PLAIN_TERMINALS = ("dumb", "unknown")


class Console:
    """Prints text. Where it cannot be written, because a disk is full, the program goes on without output.

    file  where to print; by default the standard output. A program may have none, and then nothing is printed.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file or sys.stdout
        self.failed = False

    @property
    def is_terminal(self) -> bool:
        """Whether a line can be rewritten."""
        return bool(self.file) and self.file.isatty() and os.environ.get("TERM") not in PLAIN_TERMINALS

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            self.write(line + "\n")

    def write(self, text: str) -> None:
        """Write a text at once. Raises BrokenPipeError where nobody reads the output any more."""
        if self.failed or not self.file:
            return
        try:
            print(encodable(text, self.file), end="", file=self.file, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.failed = True
            warn_of(f"The output cannot be written: {error.strerror}; the rest of it is left out.")


def encodable(text: str, file: TextIO) -> str:
    """Return a text as the encoding of a file allows it, with escapes for all other characters."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def format_clock(seconds: float) -> str:
    """Return seconds as text: 1:02:03 or 2:03."""
    minutes, whole_seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole_seconds:02}" if hours else f"{minutes}:{whole_seconds:02}"


def format_short(number: float) -> str:
    """Return a number of at least 0 in a few characters: 950, 1.61k, 45k or 12.5M."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * unit:  # three digits of 999.7 are 1k
            return f"{number / unit:.3g}{sign}"
    return f"{number:.3g}"


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: 1 run, or 2 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
