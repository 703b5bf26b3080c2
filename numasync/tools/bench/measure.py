"""Measure in turn: each repetition measures every item once, and medians over the repetitions are reported.

A machine slows down and speeds up, because of heat or of other programs. Items that are compared are therefore measured
side by side, again and again, and a ratio is the median of the ratios within each repetition.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import TypeVar

# The least time of one slice of an item: many thousand times as long as reading the clock, and still short.
SLICE_SECONDS = 0.02

Name = TypeVar("Name", bound=Hashable)
Reading = TypeVar("Reading")

# run(times) does some work `times` times.
Run = Callable[[int], None]
Clock = Callable[[], float]


def interleave(
    items: Mapping[Name, Run], repetitions: int, seconds: float = SLICE_SECONDS, clock: Clock = time.perf_counter
) -> dict[Name, list[float]]:
    """Return the seconds that each item's work takes once: {name: [a number for each repetition]}.

    items        {name: run}
    repetitions  how often each item is measured
    seconds      the least time of a slice; how many times the work fits into it is found first, and that first run also
                 compiles what is compiled on first use
    clock        returns the time in seconds
    """
    counts = {name: times_to_fill(seconds, run, clock) for name, run in items.items()}
    readings = {name: partial(time_once, run, counts[name], clock) for name, run in items.items()}
    return take_turns(readings, repetitions)


def take_turns(readings: Mapping[Name, Callable[[], Reading]], repetitions: int) -> dict[Name, list[Reading]]:
    """Return {name: [what readings[name]() returns in each repetition]}. A repetition calls each once, in order."""
    samples: dict[Name, list[Reading]] = {name: [] for name in readings}
    for _ in range(repetitions):
        for name, read in readings.items():
            samples[name].append(read())
    return samples


def times_to_fill(seconds: float, run: Run, clock: Clock) -> int:
    """Return the first power of 2 for which run(times) lasts `seconds` or more."""
    run(1)
    times = 1
    while time_run(run, times, clock) < seconds:
        times *= 2
    return times


def time_run(run: Run, times: int, clock: Clock) -> float:
    """Return the seconds that run(times) lasts."""
    begin = clock()
    run(times)
    return clock() - begin


def time_once(run: Run, times: int, clock: Clock) -> float:
    """Return the seconds of one time, the mean over run(times)."""
    return time_run(run, times, clock) / times


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of above / below, repetition by repetition."""
    return median(x / y for x, y in zip(above, below))
