"""What a worker counts of its own learning: sums, which only grow, in a cache line of its own.

Python reads them while the worker writes, without a lock, and takes the difference of two readings. A reading can fall
into the middle of an update, so that one update is in some sums and not yet in others.

The loss and the norm of the gradient are there anyway. Entropy and value are computed once in MEASURE_EVERY updates,
from the outputs that the network has already put on the tape.
"""

import numpy as np

from numasync.algorithms.policy import SOFTMAX, max_or_nan, variance
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.memory import CACHE_LINE

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


@kernel
def measure_outputs(learned, outputs, actions, action_map, n, policy, n_actions):
    """Add the value of each state of a segment, and the entropy of a policy that has one.

    The value is V(s) of a3c, and max_a Q(s, a) of the Q methods.

    learned: float64 (COLUMNS,). outputs: of the network, (>= n, n_outputs). actions, action_map: as in `choose_into`.
    """
    learned[MEASURED] += n
    v = outputs.shape[1] - 1
    for i in range(n):
        if action_map.ndim == 1:
            for j in range(actions.shape[1]):
                learned[ENTROPY] += softmax_entropy(outputs[i, action_map[j] : action_map[j + 1]])
            learned[VALUE] += outputs[i, v]
        elif actions.ndim == 2:
            learned[ENTROPY] += gaussian_entropy(outputs[i], actions.shape[1])
            learned[VALUE] += outputs[i, v]
        elif policy == SOFTMAX:
            learned[ENTROPY] += softmax_entropy(outputs[i, :n_actions])
            learned[VALUE] += outputs[i, v]
        else:
            learned[VALUE] += max_or_nan(outputs[i])


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
