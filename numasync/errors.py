"""The errors that this package raises on purpose, and how another program's error becomes part of a sentence."""

import os
import warnings


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right. The command line exits with code 2."""


class WorkerError(RuntimeError):
    """A worker failed. `__cause__` holds the worker's own exception. The command line exits with code 1."""


class EvaluationError(WorkerError):
    """An environment failed while an agent was evaluated or watched, and nothing learned."""


class NotFiniteError(RuntimeError):
    """A loss, a gradient or a parameter became NaN or infinite. The command line exits with code 1."""


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
    """Return a sentence that says what failed, with which error, and in which line of which file."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})" if trace else ""
    text = one_line(error).rstrip(".") or "no message"
    return f"{what} failed with {type(error).__name__}: {text}{place}."
