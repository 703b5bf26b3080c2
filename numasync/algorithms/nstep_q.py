"""Asynchronous n-step Q-learning, Algorithm S2 of Mnih et al. 2016.

    R_n = 0                           if s_n is terminal
        = max_a Q(s_n, a; theta-)     otherwise
    R_i = r_i + gamma R_{i+1}        for i = n-1 .. 0
    loss = sum_i (R_i - Q(s_i, a_i; theta'))^2

The forward view: each state gets the longest return that the segment allows. There are no eligibility traces.
"""

from numasync.algorithms.policy import max_or_nan
from numasync.runtime.jit import FLOAT, kernel


@kernel
def nstep_q(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Write d(loss)/d(outputs) for a segment of n steps and return the loss.

    d_outputs: (>= n, n_actions); rows 0..n-1 are overwritten.
    outputs: Q(s_i, .; theta'), (>= n, n_actions).
    bootstrap: Q(s_n, .; theta-) in row n, not read if `terminated`.
    actions, rewards: (>= n,).
    action_map, beta: not used.
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
