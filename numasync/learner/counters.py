"""What a worker counts of its own learning: sums, which only grow, in a cache line of its own.

Python reads them while the worker writes, without a lock, and takes the difference of two readings. A reading can fall
into the middle of an update, so that one update is in some sums and not yet in others.

The loss and the norm of the gradient are there anyway. Entropy and value are computed only where somebody reads them,
once in MEASURE_EVERY updates, from the outputs that the network has already put on the tape. The loop calls the kernel
that does this through its address: it is not compiled into the loop, and where nobody reads it is not compiled at all.
"""

import numpy as np

from numasync.algorithms.policy import EPSILON_GREEDY, GAUSSIAN, SOFTMAX, max_or_nan, variance
from numasync.nn.products.views import vector_at
from numasync.runtime.jit import FLOAT, int64, kernel, pointer_kernel
from numasync.runtime.memory import CACHE_LINE
from numasync.runtime.pointers import address_of, call_at, pointer_to

# The columns: updates, steps that they learned from, sums of the loss and of the gradient's norm before it is clipped;
# states that were measured, and sums over them of the policy's entropy and of the value.
UPDATES, STEPS, LOSS, GRAD_NORM, MEASURED, ENTROPY, VALUE = range(7)
COLUMNS = CACHE_LINE // np.dtype(np.float64).itemsize  # the others fill the cache line

MEASURE_EVERY = 16


@kernel
def count_update(learned, loss, grad_norm, n):
    """Count an update. learned: float64 (COLUMNS,). loss: of its segment, whose length is n."""
    learned[UPDATES] += 1.0
    learned[STEPS] += n
    learned[LOSS] += loss
    learned[GRAD_NORM] += grad_norm


def address_of_measure(policy: int, action_map: np.ndarray) -> int:
    """Return the address of the kernel that measures the outputs of a policy, for `measure_outputs`.

    policy      one of `algorithms/policy.py`
    action_map  of the environment, see EnvSpec
    """
    if action_map.ndim == 1:
        kernel = measure_several
    else:
        kernel = {EPSILON_GREEDY: measure_q, SOFTMAX: measure_softmax, GAUSSIAN: measure_gaussian}[policy]
    return address_of(kernel, pointer_to(np.float64), pointer_to(FLOAT), pointer_to(action_map.dtype), int64, int64)


@kernel
def measure_outputs(learned, outputs, action_map, address, n):
    """Add the value of each state of a segment, and the entropy of a policy that has one.

    The value is V(s) of a3c, and max_a Q(s, a) of the Q methods.

    learned: float64 (COLUMNS,). outputs: of the network, (>= n, n_outputs). address: of `address_of_measure`.
    """
    learned[MEASURED] += n
    call_at(address, (learned, outputs, action_map, n, outputs.shape[1]))


@pointer_kernel
def measure_q(learned, outputs, action_map, n, n_outputs):
    """Measure Q(s, a) of each action."""
    for i in range(n):
        learned[VALUE] += max_or_nan(vector_at(outputs, i * n_outputs, n_outputs))


@pointer_kernel
def measure_softmax(learned, outputs, action_map, n, n_outputs):
    """Measure the logits of a softmax, and V(s) behind them."""
    for i in range(n):
        row = vector_at(outputs, i * n_outputs, n_outputs)
        learned[ENTROPY] += softmax_entropy(row[: n_outputs - 1])
        learned[VALUE] += row[n_outputs - 1]


@pointer_kernel
def measure_gaussian(learned, outputs, action_map, n, n_outputs):
    """Measure d means, the x of the variance, and V(s)."""
    for i in range(n):
        row = vector_at(outputs, i * n_outputs, n_outputs)
        learned[ENTROPY] += gaussian_entropy(row, n_outputs - 2)
        learned[VALUE] += row[n_outputs - 1]


@pointer_kernel
def measure_several(learned, outputs, action_map, n, n_outputs):
    """Measure the logits of several softmaxes, softmax j from action_map[j] on, and V(s) behind them."""
    for i in range(n):
        row = vector_at(outputs, i * n_outputs, n_outputs)
        j = 0
        while action_map[j] < n_outputs - 1:
            learned[ENTROPY] += softmax_entropy(row[action_map[j] : action_map[j + 1]])
            j += 1
        learned[VALUE] += row[n_outputs - 1]


@kernel
def softmax_entropy(logits):
    """H = - sum_j p_j log p_j = log Z - sum_j x_j exp(x_j) / Z, with x = logits - max(logits) and Z = sum exp(x)."""
    top = max_or_nan(logits)
    total = weighted = FLOAT(0)
    for j in range(logits.size):
        x = logits[j] - top
        total += np.exp(x)
        weighted += x * np.exp(x)
    return np.log(total) - weighted / total


@kernel
def gaussian_entropy(outputs, d):
    """H = d/2 (log(2 pi sigma^2) + 1) of the policy in `a3c_continuous.py`. outputs: d means, x and V."""
    return FLOAT(0.5) * FLOAT(d) * (np.log(FLOAT(2 * np.pi) * variance(outputs[d])) + FLOAT(1))
