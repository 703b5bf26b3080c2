"""One line at the bottom of a terminal that says how far a stage is. It is rewritten, and other lines go above it."""

import shutil
from collections.abc import Callable
from typing import TextIO

from numasync.training.console import Console
from numasync.training.display import Display, Event, Pace, PlainLines, Status

REWRITE_SECONDS = 0.5

# A narrow terminal has no room for a bar. On others its length is fixed, so that words that change do not move it. It
# grows where there is room for all words of a training.
COLUMNS_FOR_A_BAR = 60
COLUMNS_FOR_WORDS = 95
SHORTEST_BAR, LONGEST_BAR = 7, 40

# Gets the share that is done, 0 to 1, and a number of columns. Returns a text that fills the columns.
Bar = Callable[[float, int], str]


def choose_display(file: TextIO | None = None) -> Display:
    """Return the display for a person who looks at a file. file: by default the standard output."""
    console = Console(file)
    return TerminalBar(console, choose_bar(console.file)) if console.is_terminal else PlainLines(console)


class TerminalBar:
    """Prints the lines of events above one line that is rewritten. That line always fits the terminal.

    console  the terminal
    bar      draws the bar
    columns  returns the width of the terminal now
    """

    def __init__(
        self,
        console: Console,
        bar: Bar,
        columns: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
    ) -> None:
        self.console, self.bar, self.columns = console, bar, columns
        self.pace, self.shown = Pace(REWRITE_SECONDS), False

    def show(self, event: Event) -> None:
        """Print the lines of an event in the place of the status, which comes again below them."""
        if event.lines:
            self.clear()
            self.console.print_lines(*event.lines)
            self.pace.hurry()

    def update(self, status: Status) -> None:
        """Rewrite the line, if it is due."""
        if self.pace.is_due(status):
            line = lay_out(status, self._width(), self.bar)
            # What a terminal shows of Ctrl-C comes right after the words.
            back = "\b" * (len(line) - len(line.rstrip(" ")))
            self.console.write(f"\r{line}{back}")
            self.shown = True

    def clear(self) -> None:
        """Empty the line."""
        if self.shown:
            self.console.write(f"\r{'':{max(self.columns() - 1, 1)}}\r")
            self.shown = False

    def _width(self) -> int:
        """Return the columns of the line. Two more are for ^C, and the last one begins a new line on some terminals."""
        return max(self.columns() - 3, 1)


def lay_out(status: Status, width: int, bar: Bar) -> str:
    """Return a status as one line of exactly `width` columns: stage, bar, percent, and the parts that have room."""
    if not status.total:
        return f"{status.stage} ..."[:width].ljust(width)
    share = min(status.done / status.total, 1.0)
    length = min(max(width - COLUMNS_FOR_WORDS, SHORTEST_BAR), LONGEST_BAR) if width >= COLUMNS_FOR_A_BAR else 0
    room = width - len(status.stage) - (1 + length if length else 0)
    text = f" {int(100 * share):>{3 if length else 0}}%"
    for part in status.parts:
        if len(text) + 2 + len(part) > room:
            break
        text += f"  {part}"
    painted = f" {bar(share, length)}" if length else ""
    return f"{status.stage}{painted}{text[:room]:{room}}" if room > 0 else status.stage[:width]


def plain_bar(share: float, columns: int) -> str:
    """Return a bar of characters that every terminal has."""
    done = int(share * (columns - 2))
    return f"[{'#' * done:-<{columns - 2}}]"


def choose_bar(file: TextIO) -> Bar:
    """Return what draws bars on a terminal: rich where it is installed and the terminal has colours."""
    try:
        from rich.console import Console as RichConsole
        from rich.progress_bar import ProgressBar
    except ImportError:
        return plain_bar
    console = RichConsole(file=file)
    if console.no_color or not console.color_system:
        return plain_bar

    def draw(share: float, columns: int) -> str:
        with console.capture() as captured:
            console.print(ProgressBar(total=1.0, completed=share, width=columns), end="")
        return captured.get()

    return draw
