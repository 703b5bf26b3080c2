"""Compare one of our kernels with np.dot, which hands the same products to NumPy's BLAS.

Both sides get arrays that are ready, and the call from Python counts for neither. Our kernel runs in a compiled loop.
From the time of np.dot, a product of two 1 x 1 matrices is subtracted for each call. np.dot writes C = A B. Our kernels
do more, which is not subtracted: they add, C += A B, or begin with a bias.
"""

from collections.abc import Callable, Hashable, Sequence
from math import exp, log
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import aligned_zeros
from numasync.tools.bench.measure import Run, interleave, median_ratio
from numasync.tools.bench.peak import PEAK_FLOPS, repeat_peak
from numasync.tools.bench.section import Options, Section

# The seconds of a product where noise has made the subtracted call of np.dot longer.
MIN_SECONDS = 1e-9

# After some milliseconds of multiply-adds with loads, some processors do fewer multiply-adds a cycle. A loop on
# registers alone is then slower too. A kernel and that loop take turns in slices this short, so that both find the
# processor in the same state.
SHORT_SLICE_SECONDS, SHORT_SLICES = 5e-4, 20
OF_PEAK = (
    "Of peak: the kernel and multiply-adds on registers alone take turns of half a millisecond. "
    "The peak is the best that such multiply-adds reach in turns of 20 milliseconds."
)

# The operands (a, b, out) of np.dot.
Operands = tuple[np.ndarray, np.ndarray, np.ndarray]


class Comparison(NamedTuple):
    """A kernel of ours and the products in NumPy that do the same.

    labels    the first columns of its row
    ours      run(times) of our kernel
    products  the operands of each call of np.dot
    """

    labels: dict[str, Any]
    ours: Run
    products: Sequence[Operands]

    @property
    def flops(self) -> int:
        """The additions and multiplications of its products."""
        return sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in self.products)


def compare(comparisons: Sequence[Comparison], options: Options) -> Section:
    """Return the result of a section that measures these Comparisons.

    The numbers are medians, with two exceptions. The peak is the best that was seen. So is the call of np.dot, because
    it is subtracted from times that are hardly longer.
    """
    runs: dict[Hashable, Run] = {
        "peak": run_peak,
        "call": repeat_in_numpy([(random_array(1, 1), random_array(1, 1), random_array(1, 1))]),
    }
    for i, comparison in enumerate(comparisons):
        runs["ours", i] = comparison.ours
        runs["numpy", i] = repeat_in_numpy(comparison.products)
    samples = interleave(runs, options.repetitions)
    peak, call = PEAK_FLOPS / min(samples["peak"]) / 1e9, min(samples["call"])
    rows = []
    for i, comparison in enumerate(comparisons):
        calls = len(comparison.products) * call
        numpy_seconds = [max(seconds - calls, MIN_SECONDS) for seconds in samples["numpy", i]]
        of_peak = share_of_peak(comparison, SHORT_SLICES * options.repetitions)
        rows.append(make_row(comparison, samples["ours", i], numpy_seconds, of_peak))
    ratios = [row["ratio"] for row in rows]
    summary = {
        "ratio_geometric_mean": exp(fmean(map(log, ratios))),
        "ratio_minimum": min(ratios),
        "peak_gflops": peak,
        "numpy_call_microseconds": call * 1e6,
    }
    return {"rows": rows, "summary": summary, "notes": [OF_PEAK]}


def run_peak(times: int) -> None:
    """Run the loop on registers alone: PEAK_FLOPS operations, `times` times."""
    repeat_peak(times, FLOAT(0.5))


def share_of_peak(comparison: Comparison, slices: int) -> float:
    """Return the operations per second of our kernel, as a share of the loop on registers alone.

    It is the median over `slices` short slices, in which both take turns.
    """
    samples = interleave({"peak": run_peak, "ours": comparison.ours}, slices, SHORT_SLICE_SECONDS)
    return comparison.flops / PEAK_FLOPS * median_ratio(samples["peak"], samples["ours"])


def make_row(comparison: Comparison, ours: Sequence[float], numpys: Sequence[float], of_peak: float) -> dict[str, Any]:
    """Return a row of the table. Its `ratio` is our speed over NumPy's.

    comparison  what was measured
    ours        seconds of our kernel, a number for each repetition
    numpys      seconds of NumPy's products, a number for each repetition
    of_peak     the kernel's share of the peak
    """
    return {
        **comparison.labels,
        "microseconds": median(ours) * 1e6,
        "gflops": comparison.flops / median(ours) / 1e9,
        "numpy_gflops": comparison.flops / median(numpys) / 1e9,
        "ratio": median_ratio(numpys, ours),
        "of_peak": of_peak,
    }


def repeat(kernel: Callable, *arguments: Any) -> Run:
    """Return run(times) of a kernel of `repeated.py`, whose first argument is the number of times."""
    return lambda times: kernel(times, *arguments)


def repeat_in_numpy(products: Sequence[Operands]) -> Run:
    """Return run(times) of np.dot on all operands."""

    def run(times: int) -> None:
        for _ in range(times):
            for a, b, out in products:
                np.dot(a, b, out)

    return run


def random_array(*shape: int) -> np.ndarray:
    """Return normally distributed numbers, float32, in an array that is aligned like the arrays of a training.

    None is so close to 0 that arithmetic with it is slow.
    """
    array = aligned_zeros(shape, FLOAT)
    array[:] = np.random.default_rng(1).standard_normal(shape)
    return array
