"""Crossings of a multiple, and wall time."""

import time

import pytest

from numasync.training.schedule import Every, Stopwatch


def test_every_crossing_is_reported_once():
    every = Every(100)
    assert [value for value in (0, 99, 100, 101, 199, 205, 299, 520, 540, 599, 600) if every.crossed(value)] == [
        100,
        205,
        520,
        600,
    ]


def test_each_value_crosses_a_multiple_of_one():
    every = Every(1)
    assert not every.crossed(0) and every.crossed(1) and not every.crossed(1) and every.crossed(2)


def test_a_crossing_that_nobody_asked_about_is_reported_later():
    every = Every(10)
    assert every.crossed(35) and not every.crossed(39) and every.crossed(40)


def test_a_stopwatch_measures_from_its_start_to_its_stop():
    watch = Stopwatch()
    assert watch.seconds == 0
    watch.start()
    time.sleep(0.01)
    running = watch.seconds
    assert running >= 0.01
    watch.stop()
    stopped = watch.seconds
    time.sleep(0.01)
    assert watch.seconds == stopped == pytest.approx(running, abs=1)
    assert stopped >= running
