"""From a row of network outputs to an action, and the policy's own mathematics."""

import numpy as np

from numasync.jit import FLOAT, kernel
from numasync.rng import choice, uniform

# How an action is chosen from a row of outputs; an algorithm names one.
EPSILON_GREEDY = 0
SOFTMAX = 1


@kernel
def choose(kind, scores, epsilon, rng):
    """An action from `scores`, (n_actions,): Q values for EPSILON_GREEDY, logits for SOFTMAX (which ignores
    epsilon)."""
    if kind == SOFTMAX:
        return sample_softmax(scores, rng)
    return epsilon_greedy(scores, epsilon, rng)


@kernel
def epsilon_greedy(q, epsilon, rng):
    """A uniformly random action with probability epsilon, else the greedy one (the first of equals)."""
    if uniform(rng) < epsilon:
        return choice(rng, q.size)
    return np.int64(np.argmax(q))


@kernel
def sample_softmax(logits, rng):
    """An action a with probability exp(logits[a]) / sum exp(logits)."""
    highest = np.max(logits)
    # In float64, as `uniform` is: a total rounded to float32 could leave a remainder for an action of probability 0.
    total = np.float64(0)
    for j in range(logits.size):
        total += np.float64(np.exp(logits[j] - highest))
    left = uniform(rng) * total
    for j in range(logits.size - 1):
        left -= np.float64(np.exp(logits[j] - highest))
        if left < 0:
            return j
    return logits.size - 1


@kernel
def log_softmax(logits, out):
    """out[j] = logits[j] - log sum exp(logits): finite for every finite logit, where log(softmax) may be log 0."""
    highest = np.max(logits)
    total = FLOAT(0)
    # Through `out`, so that the compiler cannot join the two subtractions: highest + log(total) would be rounded at
    # the size of the logits.
    for j in range(logits.size):
        out[j] = logits[j] - highest
        total += np.exp(out[j])
    log_total = np.log(total)
    for j in range(logits.size):
        out[j] -= log_total
