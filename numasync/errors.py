"""The errors that this package raises on purpose, and how another program's error becomes part of a sentence."""

import os
import re
import warnings

# Characters that break a line, move the cursor or are no UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right. The command line exits with code 2."""

    def __str__(self) -> str:
        """Return the sentence on one line, also where a path or a name in it is not printable.

        An empty line and the message of another program may follow it.
        """
        sentence, *below = super().__str__().partition("\n\n")
        return "".join([escape_unprintable(sentence), *below])


class FileError(InputError, OSError):
    """A file cannot be written. `strerror` is the system's reason."""


class MissingFolderError(FileError, FileNotFoundError):
    """A file cannot be written, because there is no folder for it."""


class WorkerError(RuntimeError):
    """A worker failed. `__cause__` holds the worker's own exception. The command line exits with code 1."""


class EvaluationError(WorkerError):
    """An environment failed while an agent was evaluated or watched, and nothing learned."""


class CallbackError(WorkerError):
    """A callback of a run failed. `__cause__` holds its own exception. The command line exits with code 1."""


class NotFiniteError(RuntimeError):
    """A loss, a gradient or a parameter became NaN or infinite. The command line exits with code 1."""


def escape_unprintable(text: str) -> str:
    r"""Return a text on one line: escapes such as \n stand for the characters that have no place in it."""
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def unwritable(path: object, error: OSError) -> FileError:
    """Return the error that says that a file cannot be written. error: the system's."""
    kind = MissingFolderError if isinstance(error, FileNotFoundError) else FileError
    found = kind(f"{path} cannot be written: {error.strerror or error}.")
    found.strerror = error.strerror
    return found


class TroubleWarning(RuntimeWarning):
    """Trouble that does not end a run, one sentence. The command line prints it as its own line."""


def warn_of(text: str) -> None:
    """Warn the user of trouble that does not end a run. text: one sentence."""
    warnings.warn(text, TroubleWarning, stacklevel=3)


def one_line(error: BaseException | str) -> str:
    """Return the text of an error on one line, with punctuation at its end: the last words of a sentence."""
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else text + "."


def failure_of(what: str, error: BaseException) -> str:
    """Return a sentence that says what failed, with which error, and in which line and file."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})" if trace else ""
    text = one_line(error).rstrip(".") or "no message"
    return f"{what} failed with {type(error).__name__}: {text}{place}."
