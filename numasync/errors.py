"""The errors that this package raises on purpose, and how another program's error becomes part of a sentence."""


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right. The command line exits with code 2."""


class WorkerError(RuntimeError):
    """A worker failed. `__cause__` holds the worker's own exception. The command line exits with code 1."""


class NotFiniteError(RuntimeError):
    """A loss, a gradient or a parameter became NaN or infinite. The command line exits with code 1."""


def one_line(error: BaseException | str) -> str:
    """Return the text of an error on one line, with punctuation at its end: the last words of a sentence."""
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else text + "."
