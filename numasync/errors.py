"""The errors that this package raises on purpose."""


class InputError(ValueError):
    """Bad input: one sentence that says what was wrong and what would be right. Exit code 2 on the command line."""


class WorkerError(RuntimeError):
    """An actor-learner failed; its own exception is the `__cause__`. Exit code 1 on the command line."""


class NotFiniteError(RuntimeError):
    """A loss, a gradient or a parameter became NaN or infinite. Exit code 1 on the command line."""
