"""The compiler's messages, the same with and without colorama.

Where colorama is installed, Numba writes its messages in bold type. For each one it also starts colorama, which takes
the place of sys.stdout and sys.stderr for a moment, and writes a code to the terminal when the program ends. Numba does
so for every type that it tries in vain, also where a compilation succeeds. A switch of Numba's would be one for the
whole process, so that other packages would lose their bold type.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from numasync.runtime.numba_names import errors, global_compiler_lock


@contextlib.contextmanager
def plain_messages() -> Iterator[None]:
    """Let Numba write its messages as they are in a `with` block, in which numasync compiles."""
    with global_compiler_lock:
        scheme: Any = errors.termcolor()
        if not hasattr(scheme, "_markup") or "_markup" in vars(scheme):  # no colorama, or in a block already
            yield
            return
        scheme._markup = unmarked
        try:
            yield
        finally:
            del scheme._markup


def unmarked(text: str, *how: Any) -> str:
    """Return a text as it is. how: Numba's colour and weight."""
    return text
