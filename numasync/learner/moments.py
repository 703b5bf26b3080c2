"""The running mean and deviation of each number of an observation, measured by all workers without a lock.

    mean = E[x]    deviation = sqrt(E[(x - mean)^2] + 1e-8)    over all observations that environments have given

The first layer of the network normalises by them, see `nn/layers/normalize.py`. They lie at the start of theta.

Each worker counts the observations of its own environment in a row of `sums` that nobody else writes: their number, the
sum of x - shift, and the sum of (x - shift)^2. At first after each segment, later when its count has grown by a
hundredth, it adds up the rows of all workers and writes mean and deviation into theta. No observation is lost, however
many threads count.

**Why sums.** A worker reads a row while its owner writes. It may see the number of an observation without its sums, or
one sum without the other. That is off by one observation in all that were counted, and whoever adds up next reads
again: nothing of it stays. A mean that is updated step by step (Welford) would need its parts from the same moment.

**Why a shift.** E[x^2] - E[x]^2 loses all its digits where the deviation is small beside the mean. The shift is the
first observation of the run: x - shift is small then, and exactly 0 for a number that never changes. Sums are float64.

**Races on theta.** Two workers may write the statistics at the same moment, and an update of theta may write back older
ones beside its own parameters. Then the statistics lack the last hundredth of the observations, or the last two. A
worker that acts on a copy of theta keeps its statistics for a whole segment, so that backprop sees the inputs that were
acted on.
"""

from typing import NamedTuple

import numpy as np

from numasync.nn.products.views import matrix_at, row_at, vector_at
from numasync.runtime.jit import FLOAT, int64, kernel, pointer_kernel
from numasync.runtime.memory import CACHE_LINE, aligned_zeros
from numasync.runtime.pointers import address_of, call_at, pointer_to

# As VecNormalize of stable-baselines3: a number that never changes is divided by 1e-4, not by 0.
SMALLEST_VARIANCE = 1e-8

# A worker writes the statistics again when its own count has grown by a hundredth. They hardly change in between, and
# every segment that wrote them would take theta's first cache lines away from the other cores.
GROWTH = 1.01

# The columns of `Moments.sums`.
COUNT, NEXT, FIRST = 0, 1, 2

# Arguments of `count_segment`: pointers to numbers, and integers.
REAL, SUM = pointer_to(np.float32), pointer_to(np.float64)
ARGUMENTS = (REAL, REAL, SUM, SUM, REAL, *[int64] * 6)


class Moments(NamedTuple):
    """What was counted of n numbers.

    sums     float64 (workers + 1, 2 + 2 n or a little more): for each worker, in cache lines of its own, how many
             observations it has counted, from which number on it writes the statistics again, the sums of x - shift and
             the sums of (x - shift)^2. The last row has what was counted before the run, by the run of the agent that
             it begins with
    shift    float64 (n,)
    address  of `count_segment`, so that the loop is not compiled for it where nothing is normalised
    """

    sums: np.ndarray
    shift: np.ndarray
    address: int


def new_moments(workers: int, n: int) -> Moments:
    """Return the Moments of n numbers before the first observation. n is 0 where nothing is normalised."""
    per_line = CACHE_LINE // np.dtype(np.float64).itemsize
    width = -(-(FIRST + 2 * n) // per_line) * per_line
    address = address_of(count_segment, *ARGUMENTS) if n else 0
    return Moments(aligned_zeros((workers + 1, width), np.float64), aligned_zeros((n,), np.float64), address)


def begin_moments(moments: Moments, theta: np.ndarray, obs: np.ndarray) -> None:
    """Prepare to count: go on from what was measured for theta, or choose the shift by a first observation.

    moments  new Moments, which are changed
    theta    the parameters that the run begins with, float32 (n_parameters,)
    obs      a first observation, float32 (n,)
    """
    n = moments.shift.size
    mean, deviation, counts = theta[: 3 * n].astype(np.float64).reshape(3, n)
    if counts.min() > 0:
        before = moments.sums[-1]
        moments.shift[:] = mean
        before[COUNT] = counts[0]
        before[FIRST + n : FIRST + 2 * n] = counts[0] * np.maximum(deviation**2 - SMALLEST_VARIANCE, 0.0)
    else:
        moments.shift[:] = np.where(np.isfinite(obs), obs, 0.0)


@kernel
def count_observation(sums, obs, shift):
    """Add an observation, float32 (n,), to a worker's row of sums.

    An observation that is not finite is left out. It ends the run, and the agent that is saved then must not have it.
    """
    n = obs.size
    for i in range(n):
        if not np.isfinite(obs[i]):
            return
    sums[COUNT] += 1
    for i in range(n):
        x = obs[i] - shift[i]
        sums[FIRST + i] += x
        sums[FIRST + n + i] += x * x


@kernel
def write_statistics(theta, sums, shift):
    """Write the mean, the deviation and the count of each number into the first 3 n numbers of theta."""
    n, count = shift.size, 0.0
    for worker in range(sums.shape[0]):
        count += sums[worker, COUNT]
    if count == 0.0:
        return
    for i in range(n):
        total, squares = 0.0, 0.0
        for worker in range(sums.shape[0]):
            total += sums[worker, FIRST + i]
            squares += sums[worker, FIRST + n + i]
        x = total / count
        # Where a row was read while it was written, the variance of a number that hardly changes may be below 0.
        variance = max(squares / count - x * x, 0.0)
        theta[i] = FLOAT(shift[i] + x)
        theta[n + i] = FLOAT(np.sqrt(variance + SMALLEST_VARIANCE))
        theta[2 * n + i] = FLOAT(count)


@pointer_kernel
def count_segment(theta, theta_local, sums, shift, obs, worker, rows, width, n, first, last):
    """Count rows first..last-1 of a worker's observations. If it is time, write the statistics into both thetas.

    theta_local: what the worker acts on; it may be theta itself. rows, width: of sums. n: numbers of an observation.
    """
    sums, shift = matrix_at(sums, 0, rows, width), vector_at(shift, 0, n)
    own = row_at(sums, worker)
    for row in range(first, last):
        count_observation(own, vector_at(obs, row * n, n), shift)
    if own[COUNT] >= own[NEXT]:
        own[NEXT] = GROWTH * own[COUNT]
        write_statistics(vector_at(theta, 0, 3 * n), sums, shift)
        for i in range(3 * n):
            theta_local[i] = theta[i]


@kernel
def update_statistics(theta_local, shared, worker, first, last):
    """Call `count_segment` for the rows first..last-1 of the observations that a worker has just got."""
    sums, shift, address = shared.moments
    rows, width = sums.shape
    n, theta = shift.size, shared.theta
    call_at(address, (theta, theta_local, sums, shift, worker.obs, worker.number, rows, width, n, first, last))
