"""Lines of text on the standard output, and lines of progress that come at their own pace.

Besides this file only `numasync watch`, the benchmark and the command line print.
"""

import sys
from typing import TextIO

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
        self.quiet = quiet
        self.terminal = self.file.isatty()
        self.due = 0.0
        self.interval = FIRST_LINE_SECONDS

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        if not self.quiet:
            for line in lines:
                print(line, file=self.file, flush=True)

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
            self.file.write(f"\r{line:<100}")
            self.file.flush()
        else:
            self.print_lines(line)
            self.due = seconds + self.interval
            self.interval = min(1.5 * self.interval, LONGEST_LINE_SECONDS)


def format_clock(seconds: float) -> str:
    """Return seconds as text: 1:02:03 or 2:03."""
    minutes, whole_seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole_seconds:02}" if hours else f"{minutes}:{whole_seconds:02}"


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: 1 run, or 2 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
