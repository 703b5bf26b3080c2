"""A copy of this process that does one piece of work, and has imported everything already.

Only the command line forks. It knows its own threads: they wait while it compiles. In somebody else's program another
thread might hold a lock at the moment of the fork, and the copy would wait for that lock for ever.
"""

import contextlib
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import BinaryIO, NoReturn

# Whether this process may be copied. The command line says so.
allowed = False


def can_fork() -> bool:
    """Return whether this process may be copied. On macOS its system libraries do not survive that."""
    return allowed and sys.platform.startswith("linux")


class Fork:
    """A copy of this process that calls work(stdin, stdout) and ends. It looks like a `subprocess.Popen`."""

    def __init__(self, work: Callable[[BinaryIO, BinaryIO], None]) -> None:
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where there are threads
            self.pid = os.fork()
        if self.pid == 0:
            run_copy(work, read_in, write_out)
        os.close(read_in)
        os.close(write_out)
        self.stdin, self.stdout = os.fdopen(write_in, "wb"), os.fdopen(read_out, "rb", buffering=0)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def run_copy(work: Callable[[BinaryIO, BinaryIO], None], stdin: int, stdout: int) -> NoReturn:
    """Do the work in the copy. It must not return into its parent's program, nor hold its parent's files open."""
    try:
        gc.disable()  # it lives for some seconds
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        first, second = sorted((stdin, stdout))
        os.closerange(3, first)
        os.closerange(first + 1, second)
        os.closerange(second + 1, os.sysconf("SC_OPEN_MAX"))
        work(os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb", buffering=0))
    finally:
        os._exit(0)
