"""Lines of text on the standard output, and lines of progress that come at their own pace.

Besides this file only `numasync watch`, the benchmark and the command line print.
"""

import sys
from typing import TextIO

from numasync.errors import warn_of

# A terminal shows one line that is rewritten. A file or a pipe gets new lines, less and less often.
TERMINAL_SECONDS = 0.5
FIRST_LINE_SECONDS = 1.0
LONGEST_LINE_SECONDS = 60.0


class Console:
    """Prints lines, and lines of progress when they are due.

    file   where to print; by default the standard output
    quiet  whether all lines are dropped
    """

    def __init__(self, file: TextIO | None = None, quiet: bool = False) -> None:
        self.file = file or sys.stdout
        self.quiet = quiet or self.file is None  # a program may have no standard output
        self.terminal = not self.quiet and self.file.isatty()
        self.due = 0.0
        self.interval = FIRST_LINE_SECONDS

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            self._write(line + "\n")

    def print_over(self, line: str) -> None:
        """Print a line. On a terminal it replaces the line of progress."""
        self.print_lines(f"\r{line:<100}" if self.terminal else line)

    def is_due(self, seconds: float) -> bool:
        """Return whether a line of progress is due. seconds: on a clock that the caller chooses."""
        return not self.quiet and seconds >= self.due

    def show_progress(self, line: str, seconds: float) -> None:
        """Print a line of progress. The next one is due some time after `seconds`."""
        if self.quiet:
            return
        if self.terminal:
            self.due = seconds + TERMINAL_SECONDS
            self._write(f"\r{line:<100}")
        else:
            self.print_lines(line)
            self.due = seconds + self.interval
            self.interval = min(1.5 * self.interval, LONGEST_LINE_SECONDS)

    def _write(self, text: str) -> None:
        """Write a text. Where it cannot be written, because a disk is full, the run goes on without output."""
        if self.quiet:
            return
        try:
            print(encodable(text, self.file), end="", file=self.file, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.quiet = True
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


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: 1 run, or 2 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
