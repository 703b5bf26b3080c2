"""From a row of network outputs to an action, and the policy's own mathematics."""

import numpy as np

from numasync.envs.spec import CENTRE, HALF_RANGE, HIGHEST, LOWEST
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice, normal, uniform

# How an action is chosen from a row of outputs. An algorithm names one. MEAN is the greedy choice of a GAUSSIAN.
EPSILON_GREEDY = 0
SOFTMAX = 1
GAUSSIAN = 2
MEAN = 3

# Added to the variance: at 0 the density of a Gaussian is infinite.
SMALLEST_VARIANCE = FLOAT(1e-4)


@kernel
def choose_into(actions, outputs, n, action_map, policy, n_actions, epsilon, rng):
    """Write action n for a row of outputs.

    actions: int64 (rows,); float32 (rows, n_actions) where actions are continuous; int64 (rows, n_actions) where they
        are several integers.
    action_map: of the environment, see `envs/spec.py`.

    The compiler knows the number of dimensions of both, and drops the branches that do not fit.
    """
    if actions.ndim == 1:
        actions[n] = choose(outputs[:n_actions], policy, epsilon, rng)
    elif action_map.ndim == 1:
        choose_each(actions[n], outputs, action_map, policy, epsilon, rng)
    else:
        choose_continuous(actions[n], outputs, policy, rng)


@kernel
def choose(scores, policy, epsilon, rng):
    """Choose an action. scores: (n_actions,), Q values for EPSILON_GREEDY, logits for SOFTMAX.

    SOFTMAX does not use epsilon.
    """
    if policy == SOFTMAX:
        return sample_softmax(scores, rng)
    return epsilon_greedy(scores, epsilon, rng)


@kernel
def choose_each(action, outputs, action_map, policy, epsilon, rng):
    """Choose each integer of an action by itself. The scores of integer j begin at outputs[action_map[j]]."""
    for j in range(action.size):
        action[j] = choose(outputs[action_map[j] : action_map[j + 1]], policy, epsilon, rng)


@kernel
def epsilon_greedy(q, epsilon, rng):
    """A uniformly random action with probability epsilon, else the greedy one (the first of equals)."""
    if uniform(rng) < epsilon:
        return choice(rng, q.size)
    return argmax(q)


@kernel
def argmax(scores):
    """The number of the highest score, the first of equals."""
    best = 0
    for j in range(1, scores.size):
        if scores[j] > scores[best]:
            best = j
    return best


@kernel
def max_or_nan(scores):
    """The highest score, or NaN where there is one, so that a diverged network is seen."""
    best = scores[0]
    for j in range(1, scores.size):
        if scores[j] > best or np.isnan(scores[j]):
            best = scores[j]
    return best


@kernel
def sample_softmax(logits, rng):
    """An action a with probability exp(logits[a]) / sum exp(logits)."""
    top = max_or_nan(logits)
    # In float64, as `uniform` is: a total rounded to float32 could leave a remainder for an action of probability 0.
    total = np.float64(0)
    for j in range(logits.size):
        total += np.float64(np.exp(logits[j] - top))
    # Counted, not searched: a processor cannot foresee where a search ends.
    left = uniform(rng) * total
    action = 0
    for j in range(logits.size - 1):
        left -= np.float64(np.exp(logits[j] - top))
        action += left >= 0
    return action


@kernel
def log_softmax(out, logits):
    """out[j] = logits[j] - log sum exp(logits): finite for every finite logit, where log(softmax) may be log 0."""
    top = max_or_nan(logits)
    total = FLOAT(0)
    # Through `out`, so that the compiler cannot join the two subtractions: top + log(total) would be rounded at
    # the size of the logits.
    for j in range(logits.size):
        out[j] = logits[j] - top
        total += np.exp(out[j])
    log_total = np.log(total)
    for j in range(logits.size):
        out[j] -= log_total


@kernel
def choose_continuous(action, outputs, policy, rng):
    """action ~ N(mu, sigma^2), each number by itself; mu itself for MEAN. outputs: mu, (n_actions,), then x."""
    deviation = np.sqrt(variance(outputs[action.size]))
    for j in range(action.size):
        action[j] = outputs[j]
        if policy == GAUSSIAN:
            action[j] += deviation * normal(rng)


@kernel
def hold_means(d_outputs, outputs, actions, action_map, n):
    """Clear what pushes a mean beyond its bounds out of the gradient of a segment of n steps.

    Beyond a bound every action is clipped to the bound, and no reward says how far outside the mean is. Means then
    drift outwards, and far from the bounds they no longer depend on the rewards. What pushes a mean back stays. A
    number without bounds is left alone. Hausknecht & Stone 2016 (Deep Reinforcement Learning in Parameterized Action
    Space) call it zeroing gradients.

    d_outputs, outputs: (>= n, n_outputs), the means first. actions: where they are integers, nothing is done.
    action_map: see `envs/spec.py`.
    """
    if actions.ndim == 2 and action_map.ndim == 2:
        for i in range(n):
            for j in range(actions.shape[1]):
                mean = action_map[CENTRE, j] + action_map[HALF_RANGE, j] * outputs[i, j]
                if mean > action_map[HIGHEST, j] and d_outputs[i, j] < 0:
                    d_outputs[i, j] = FLOAT(0)
                if mean < action_map[LOWEST, j] and d_outputs[i, j] > 0:
                    d_outputs[i, j] = FLOAT(0)


@kernel
def variance(x):
    """sigma^2 = softplus(x) = log(1 + exp(x)), plus SMALLEST_VARIANCE: section 9 of Mnih et al. 2016."""
    return max(x, FLOAT(0)) + np.log1p(np.exp(-abs(x))) + SMALLEST_VARIANCE
