"""When Python collects garbage. A start makes many objects and keeps them, so that most collections find nothing."""

import contextlib
import gc
import threading
from collections.abc import Iterator

# How many collections of new objects begin one of older objects, in a block.
OLDER = 50, 50

# All objects are moved to the oldest generation after a block that has left more new ones than this.
MANY = 20_000

# The thresholds from before, once for each block that is under way in any thread.
BEFORE: list[tuple[int, int, int]] = []
LOCK = threading.Lock()


@contextlib.contextmanager
def rarely_collect(objects: int) -> Iterator[None]:
    """Let Python collect garbage rarely in a `with` block. objects: how many new ones begin a collection.

    Numba makes millions of objects, and keeps many. Collections took a twelfth of a first start, and a sixth of a start
    with a full cache.
    """
    with LOCK:
        BEFORE.append(BEFORE[0] if BEFORE else gc.get_threshold())
        collects = BEFORE[0][0] > 0
        if collects:
            gc.set_threshold(objects, *OLDER)
    try:
        yield
    finally:
        with LOCK:
            before = BEFORE.pop()
            if collects and not BEFORE:
                if gc.get_count()[0] > MANY:
                    age_all_objects()
                gc.set_threshold(*before)


def age_all_objects() -> None:
    """Move all objects into Python's oldest generation at once. Its own collections would visit each new one twice."""
    if gc.get_freeze_count() == 0:  # otherwise somebody has frozen objects, which would thaw
        gc.freeze()
        gc.unfreeze()
