"""What the command line is as a program: its output, its complaints, and the paths that it takes."""

import argparse
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from numasync.agent.other_names import OTHER_OPTIONS, OTHER_VERBS
from numasync.errors import TroubleWarning, escape_unprintable, one_line
from numasync.runtime.checks import parse_number
from numasync.runtime.hints import find_hint
from numasync.runtime.interrupts import EXIT_BAD_INPUT

EXIT_FAILED = 1


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one sentence.

    dashed  the options whose value may begin with a dash, as in `--sort -score`
    verbs   what a word in the place of a verb may mean
    """

    dashed: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words as ArgumentParser does, and refuse unknown ones. It takes a dash only as in `--sort=-score`."""
        words: list[str] = []
        for word in sys.argv[1:] if args is None else args:
            if words and words[-1] in self.dashed and word.startswith("-") and not word.startswith("--"):
                words[-1] += f"={word}"
            else:
                words.append(word)
        found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            hint = self._find_hint(unknown)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{f'; {hint}' if hint else ''}")
        return found, unknown

    def _find_hint(self, unknown: list[str]) -> str | None:
        """Return what the first unknown option may mean, or where there is none, the first unknown word."""
        option = next((word for word in unknown if word.startswith("-")), None)
        if option is None:
            return find_hint(unknown[0], self.verbs, OTHER_VERBS, "numasync {}".format)
        flags = {flag.lstrip("-"): flag for action in self._actions for flag in action.option_strings}
        flags |= {action.dest: action.option_strings[0] for action in self._actions if action.option_strings}
        return find_hint(option.partition("=")[0].lstrip("-"), flags, OTHER_OPTIONS, flags.__getitem__)

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {escape_unprintable(message)}; see {self.prog} --help.\n")


def complain(text: str) -> None:
    """Print a line on stderr, after the name of the program."""
    with contextlib.suppress(OSError):  # stderr can be on a full disk too
        print(f"numasync: {escape_unprintable(text)}", file=sys.stderr, flush=True)


def prepare_output() -> None:
    """Have a standard output and a standard error, which can be closed, take every text."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (it is open until the end)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def finish_output() -> None:
    """Write out what is left of the output. Python must not try it again at its exit, and fail."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def show_troubles() -> Iterator[None]:
    """Print a TroubleWarning as a line of this program, once, inside a `with` block."""
    with warnings.catch_warnings():
        shown, said = warnings.showwarning, set()

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, TroubleWarning):
                if str(message) not in said:
                    complain(str(message))
                said.add(str(message))
            else:
                shown(message, category, *place, **more)

        warnings.showwarning = show
        yield


def path_argument(text: str) -> str:
    """Return the text of a path, for argparse. No control characters are in it, all of it is UTF-8, it is not empty."""
    if not text or escape_unprintable(text) != text:
        raise argparse.ArgumentTypeError(f"{text!a} is no path: it is empty, or not all of it can be printed")
    return text


def is_folder_gone() -> bool:
    """Return whether the current folder was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def argument_of(kind: Any) -> Callable[[str], Any]:
    """Return what turns the text of an option into a value, for argparse. kind: the type of the option."""
    if kind is int:
        return whole_number
    return {float | None: float, str | None: str}.get(kind, kind)


def whole_number(text: str) -> int | float:
    """Return the number of a text, for argparse: '1e6' is an int. A real number stays one, and is refused later."""
    try:
        return parse_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}") from error


def place_of(error: BaseException) -> str:
    """Return the line of a program that raised an error: 'Line 7 of game.py'."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"Line {frame.lineno} of {os.path.basename(frame.filename)}"


def describe_lack(error: MemoryError | OSError) -> str:
    """Return a sentence about memory, a folder or a file that a command lacks."""
    if isinstance(error, MemoryError):
        return "There is not enough memory; take fewer workers or a smaller network."
    if is_folder_gone():
        return "The current folder does not exist any more; change to another one."
    where = error.filename if isinstance(error.filename, str) else "The output"
    return f"{where} cannot be read or written: {error.strerror or one_line(error).rstrip('.')}."
