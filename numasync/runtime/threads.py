"""Threads, and what takes their place in a browser, where none starts."""

import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

# The Python of a browser is built with Emscripten.
HAS_THREADS = sys.platform != "emscripten"


class CallingThread(Executor):
    """An executor that calls a function at once, in the thread that submits it."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Return the Future of a result that is there."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


def make_pool(threads: int) -> Executor:
    """Return a pool of threads. Where no thread starts, it calls a function at once."""
    return ThreadPoolExecutor(threads) if HAS_THREADS else CallingThread()
