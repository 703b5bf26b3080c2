"""Asynchronous n-step Q-learning, Algorithm S2 of Mnih et al. 2016.

    R_n = 0                           if s_n is terminal
        = max_a Q(s_n, a; theta-)     otherwise
    R_i = r_i + gamma R_{i+1}        for i = n-1 .. 0
    loss = sum_i (R_i - Q(s_i, a_i; theta'))^2

The forward view: each state of the segment gets the longest return that the segment allows; no eligibility traces.
"""

from numasync.algorithms.policy import max_or_nan
from numasync.runtime.jit import FLOAT, kernel


@kernel
def nstep_q(outputs, bootstrap, actions, rewards, n, terminated, gamma, beta, d_outputs):
    """Write d(loss)/d(outputs) of a segment of n actions into d_outputs and return the loss.

    outputs: Q(s_i, .; theta'), (>= n, n_actions). bootstrap: Q(s_n, .; theta-) in row n, not read if `terminated`.
    actions, rewards: (>= n,). beta is not used. d_outputs: rows 0..n-1 are overwritten.
    """
    loss = FLOAT(0)
    d_outputs[:n] = FLOAT(0)
    R = FLOAT(0)
    if not terminated:
        R = max_or_nan(bootstrap[n])
    for i in range(n - 1, -1, -1):
        R = rewards[i] + gamma * R
        difference = R - outputs[i, actions[i]]
        loss += difference * difference
        d_outputs[i, actions[i]] = FLOAT(-2) * difference
    return loss
