"""Processes that the tests start."""

import signal


def listen_to_ctrl_c() -> None:
    """Let a new process react to SIGINT, which it ignores if the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
