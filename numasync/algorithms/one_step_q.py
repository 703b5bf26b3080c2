"""Asynchronous one-step Q-learning, Algorithm 1 of Mnih et al. 2016.

    y_i = r_i                                        if s_{i+1} is terminal
        = r_i + gamma max_a' Q(s_{i+1}, a'; theta-)  otherwise
    loss = sum_i (y_i - Q(s_i, a_i; theta))^2

It acts and differentiates on the shared theta itself. There is no copy for the thread.
"""

from numasync.algorithms.policy import max_or_nan
from numasync.runtime.jit import FLOAT, kernel


@kernel
def one_step_q(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Write d(loss)/d(outputs) for a segment of n steps and return the loss.

    d_outputs: (>= n, n_actions); rows 0..n-1 are overwritten.
    outputs: Q(s_i, .; theta), (>= n, n_actions).
    bootstrap: Q(s_i, .; theta-) in rows 1..n; row n is not read if `terminated`.
    actions, rewards: (>= n,).
    action_map, beta: not used.
    """
    loss = FLOAT(0)
    d_outputs[:n] = FLOAT(0)
    for i in range(n):
        y = rewards[i]
        if not (terminated and i == n - 1):
            y += gamma * max_or_nan(bootstrap[i + 1])
        difference = y - outputs[i, actions[i]]
        loss += difference * difference
        d_outputs[i, actions[i]] = FLOAT(-2) * difference
    return loss
