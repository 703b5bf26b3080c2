"""Measuring in turns: a repetition measures every item once, and medians over the repetitions are reported.

Machines slow down and speed up, for heat or for a neighbour's sake. What is compared is therefore measured side by
side, again and again, and a ratio is the median of the ratios within each repetition.
"""

import time
from statistics import median
from typing import NamedTuple

# What a slice of an item lasts, at least: many thousand times what reading the clock costs, yet short.
SLICE_SECONDS = 0.02


class Options(NamedTuple):
    """repetitions: how often everything is measured. seconds: of training for each number, over all repetitions.
    workers: the numbers of threads to measure with, ascending."""

    repetitions: int
    seconds: float
    workers: list

    @property
    def turn(self):
        """Seconds of one repetition of a training."""
        return self.seconds / self.repetitions


def interleaved(items, repetitions, seconds=SLICE_SECONDS, clock=time.perf_counter):
    """Seconds that each item's work takes: {name: [one number a repetition]}.

    items: {name: run}, where run(times) does the work `times` times. How many times fill a slice of `seconds` is
    found out first, which also compiles whatever is compiled on first use.
    """
    counts = {name: times_that_fill(seconds, run, clock) for name, run in items.items()}
    timings = {
        name: lambda run=run, times=counts[name]: timed(run, times, clock) / times for name, run in items.items()
    }
    return in_turn(timings, repetitions)


def in_turn(readings, repetitions):
    """{name: [what readings[name]() returned in each repetition]}; a repetition calls each of them once, in order."""
    samples = {name: [] for name in readings}
    for _ in range(repetitions):
        for name, read in readings.items():
            samples[name].append(read())
    return samples


def times_that_fill(seconds, run, clock):
    """The first power of 2 for which run(times) lasts `seconds` or more."""
    run(1)
    times = 1
    while timed(run, times, clock) < seconds:
        times *= 2
    return times


def timed(run, times, clock):
    """Seconds that run(times) lasts."""
    begin = clock()
    run(times)
    return clock() - begin


def median_ratio(above, below):
    """The median of above / below, repetition by repetition."""
    return median(x / y for x, y in zip(above, below))
