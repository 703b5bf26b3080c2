"""The running mean and deviation of each number of an observation, measured by all workers without a lock.

    mean = E[x]    deviation = sqrt(E[(x - mean)^2] + 1e-8)    over all observations that environments have given

The first layer of the network normalises by them, see `nn/layers/normalize.py`. They lie at the start of theta.

Each worker counts the observations of its own environment in a row of `sums` that nobody else writes: their number, the
sum of x - shift, and the sum of (x - shift)^2. After each segment it adds up the rows of all workers, and writes the
mean and the deviation into theta. So no observation is lost, however many threads count.

**Why sums.** A worker reads a row while its owner writes. It may see the number of an observation without its sums, or
one sum without the other. That is off by one observation in all that were counted, and the next segment reads again:
nothing of it stays. A mean that is updated step by step (Welford) would need its parts from the same moment.

**Why a shift.** E[x^2] - E[x]^2 loses all its digits where the deviation is small beside the mean. The shift is the
first observation of the run: x - shift is small then, and exactly 0 for a number that never changes. Sums are float64.

**Races on theta.** Two workers may write the statistics at the same moment, and an update of theta may write back older
ones beside its own parameters. Each of them is right but for the observations of a segment or two. A worker that acts
on a copy of theta keeps its statistics for a whole segment, so that backprop sees the inputs that were acted on.
"""

from typing import NamedTuple

import numpy as np

from numasync.nn.products.views import row_at, vector_at
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.memory import CACHE_LINE, aligned_zeros

# As VecNormalize of stable-baselines3: a number that never changes is divided by 1e-4, not by 0.
SMALLEST_VARIANCE = 1e-8


class Moments(NamedTuple):
    """What was counted of n numbers.

    sums   float64 (workers + 1, 1 + 2 n or a little more): for each worker, in cache lines of its own, how many
           observations it has counted, the sums of x - shift and the sums of (x - shift)^2. The last row has what was
           counted before the run, by the run of the agent that it begins with
    shift  float64 (n,)
    """

    sums: np.ndarray
    shift: np.ndarray


def new_moments(workers: int, n: int) -> Moments:
    """Return the Moments of n numbers before the first observation. n is 0 where nothing is normalised."""
    per_line = CACHE_LINE // np.dtype(np.float64).itemsize
    width = -(-(1 + 2 * n) // per_line) * per_line
    return Moments(aligned_zeros((workers + 1, width), np.float64), aligned_zeros((n,), np.float64))


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
        before[0] = counts[0]
        before[1 + n : 1 + 2 * n] = counts[0] * np.maximum(deviation**2 - SMALLEST_VARIANCE, 0.0)
    else:
        moments.shift[:] = np.where(np.isfinite(obs), obs, 0.0)


@kernel
def count_observation(moments, worker, obs):
    """Add an observation, float32 (n,), to the row of a worker. worker: its number.

    An observation that is not finite is left out. It ends the run, and the agent that is saved then must not have it.
    """
    row, n = row_at(moments.sums, worker), obs.size
    for i in range(n):
        if not np.isfinite(obs[i]):
            return
    row[0] += 1
    for i in range(n):
        x = obs[i] - moments.shift[i]
        row[1 + i] += x
        row[1 + n + i] += x * x


@kernel
def write_statistics(theta, moments):
    """Write the mean, the deviation and the count of each number into the first 3 n numbers of theta."""
    sums, n = moments.sums, moments.shift.size
    count = 0.0
    for worker in range(sums.shape[0]):
        count += sums[worker, 0]
    if count == 0.0:
        return
    for i in range(n):
        total, squares = 0.0, 0.0
        for worker in range(sums.shape[0]):
            total += sums[worker, 1 + i]
            squares += sums[worker, 1 + n + i]
        x = total / count
        # Where a row was read while it was written, the variance of a number that hardly changes may be below 0.
        variance = max(squares / count - x * x, 0.0)
        theta[i] = FLOAT(moments.shift[i] + x)
        theta[n + i] = FLOAT(np.sqrt(variance + SMALLEST_VARIANCE))
        theta[2 * n + i] = FLOAT(count)


@kernel
def renew_statistics(theta, shared):
    """Write the statistics into the shared theta, and into the theta that a worker acts on, which may be the same."""
    write_statistics(shared.theta, shared.moments)
    size = 3 * shared.moments.shift.size
    local, common = vector_at(theta, 0, size), vector_at(shared.theta, 0, size)
    for i in range(size):
        local[i] = common[i]
