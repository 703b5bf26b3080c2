"""The same arithmetic twice: by a kernel of ours, and by np.dot, which hands it to NumPy's BLAS.

Both sides are given arrays that lie ready, and neither its call from Python counts: ours is called in a compiled
loop, and from np.dot's time that of multiplying two matrices of one number is subtracted, a call at a time. np.dot
writes C = A B where ours add, C += A B, or put a bias first: the work that ours do beyond the product is not
subtracted.
"""

from math import exp, log
from statistics import fmean, median
from typing import Callable, NamedTuple

import numpy as np

from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import aligned_zeros
from numasync.tools.bench.measure import interleaved, median_ratio
from numasync.tools.bench.peak import PEAK_FLOPS, repeat_peak

LEAST_SECONDS = 1e-9  # where noise has made a call of np.dot longer than a product

# Some processors do fewer multiply-adds a cycle after some milliseconds of multiply-adds with loads; those of a loop on
# registers alone are then slower too. So a kernel and that loop take turns so short that both meet the same state.
SPELL_SECONDS, SPELLS = 5e-4, 20
OF_PEAK = (
    "Of peak is in turns of half a millisecond with multiply-adds on registers alone; the peak is theirs in turns of 20."
)


class Contest(NamedTuple):
    """labels: the first columns of its row. ours: run(times). dots: the operands (a, b, out) of each np.dot that does
    the same."""

    labels: dict
    ours: Callable
    dots: list

    @property
    def flops(self):
        return sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in self.dots)


def contests(entries, options):
    """The result of a section that measures these Contests. All numbers are medians, but the best that was seen
    stands for the peak, and for a call of np.dot: it is subtracted from times that may be hardly longer."""
    runs = {
        "peak": run_peak,
        "call": repeated_dots([(numbers(1, 1), numbers(1, 1), numbers(1, 1))]),
    }
    for i, entry in enumerate(entries):
        runs["ours", i] = entry.ours
        runs["numpy", i] = repeated_dots(entry.dots)
    samples = interleaved(runs, options.repetitions)
    peak, call = PEAK_FLOPS / min(samples["peak"]) / 1e9, min(samples["call"])
    rows = []
    for i, entry in enumerate(entries):
        theirs = [max(seconds - len(entry.dots) * call, LEAST_SECONDS) for seconds in samples["numpy", i]]
        rows.append(row_of(entry, samples["ours", i], theirs, share_of_peak(entry, SPELLS * options.repetitions)))
    ratios = [row["ratio"] for row in rows]
    summary = {
        "ratio_geometric_mean": exp(fmean(map(log, ratios))),
        "ratio_minimum": min(ratios),
        "peak_gflops": peak,
        "numpy_call_microseconds": call * 1e6,
    }
    return {"rows": rows, "summary": summary, "notes": [OF_PEAK]}


def run_peak(times):
    repeat_peak(times, FLOAT(0.5))


def share_of_peak(entry, spells):
    """The Contest's operations a second, over those of the peak's loop in spells between: a median."""
    samples = interleaved({"peak": run_peak, "ours": entry.ours}, spells, SPELL_SECONDS)
    return entry.flops / PEAK_FLOPS * median_ratio(samples["peak"], samples["ours"])


def row_of(entry, ours, theirs, of_peak):
    """A row from the seconds of both sides, a number a repetition. ratio: our speed over NumPy's."""
    return {
        **entry.labels,
        "microseconds": median(ours) * 1e6,
        "gflops": entry.flops / median(ours) / 1e9,
        "numpy_gflops": entry.flops / median(theirs) / 1e9,
        "ratio": median_ratio(theirs, ours),
        "of_peak": of_peak,
    }


def repeated(repeat, *arguments):
    """run(times) of a kernel of `repeated.py`, whose first argument is the number of times."""
    return lambda times: repeat(times, *arguments)


def repeated_dots(dots):
    """run(times) of all np.dots."""

    def run(times):
        for _ in range(times):
            for a, b, out in dots:
                np.dot(a, b, out)

    return run


def numbers(*shape):
    """Random numbers of a normal distribution, none so small that arithmetic with it is slow, in an array that begins
    where a cache line does, as those of a training."""
    array = aligned_zeros(shape, FLOAT)
    array[:] = np.random.default_rng(1).standard_normal(shape)
    return array
