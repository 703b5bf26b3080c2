"""Garbage is collected rarely in a block, and as before after it, whatever other threads do."""

import gc
import subprocess
import sys
import threading
import weakref

import pytest

from numasync.runtime import garbage
from numasync.runtime.garbage import OLDER, rarely_collect

MANY = 200_000


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    gc.set_threshold(500, 5, 5)
    yield
    gc.set_threshold(*before)


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self):
        self.ring = self


def make_many(rings=40_000):
    """Make many rings that are kept, and return a reference to one more that is not."""
    kept = [Ring() for _ in range(rings)]
    return kept, weakref.ref(Ring())


def test_a_block_has_its_own_thresholds_also_where_it_fails():
    with pytest.raises(ValueError), rarely_collect(MANY):
        assert gc.get_threshold() == (MANY, *OLDER)
        raise ValueError
    assert gc.get_threshold() == (500, 5, 5)


def test_blocks_of_two_threads_that_overlap_leave_the_thresholds_as_they_were():
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second():
        with rarely_collect(MANY):
            second_is_in.set()
            first_is_out.wait(60)

    thread = threading.Thread(target=second)
    with rarely_collect(MANY):
        thread.start()
        assert second_is_in.wait(60)
    assert gc.get_threshold() == (MANY, *OLDER)
    first_is_out.set()
    thread.join()
    assert gc.get_threshold() == (500, 5, 5)


def test_where_python_never_collects_it_does_not_begin_to():
    gc.set_threshold(0)
    with rarely_collect(MANY):
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold()[0] == 0


def test_what_a_block_makes_is_old_afterwards_and_garbage_among_it_is_still_found():
    with rarely_collect(MANY):
        kept, lost = make_many()
    assert len(gc.get_objects(generation=0)) < 1_000 and len(kept) == 40_000
    gc.collect()
    assert lost() is None


def test_what_somebody_has_frozen_stays_frozen():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with rarely_collect(MANY):
            kept, _ = make_many()
        assert gc.get_freeze_count() >= frozen - 100 > 0 and len(kept) == 40_000  # some frozen ones may be freed
    finally:
        gc.unfreeze()


def test_importing_the_package_collects_no_old_object_and_leaves_the_thresholds_alone():
    program = """
import gc
before, full = gc.get_threshold(), []
gc.callbacks.append(lambda phase, info: full.append(info["generation"]) if phase == "start" else None)
import numasync
assert gc.get_threshold() == before and gc.isenabled() and gc.get_freeze_count() == 0
print(full.count(2))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_few_objects_stay_young():
    gc.collect()
    with rarely_collect(MANY):
        kept, _ = make_many(10)
    assert any(young is kept[0] for young in gc.get_objects(generation=0)) and garbage.BEFORE == []
