"""Asynchronous advantage actor-critic, Algorithm S3 of Mnih et al. 2016, with the entropy term of its section 4.

    R_n = 0               if s_n is terminal
        = V(s_n; theta')  otherwise
    R_i = r_i + gamma R_{i+1}                        for i = n-1 .. 0
    A_i = R_i - V(s_i), a constant in the policy term
    loss = sum_i  - log pi(a_i | s_i) A_i  -  beta H(pi(. | s_i))  +  1/2 (R_i - V(s_i))^2

so that, with p = pi(. | s_i) and H = - sum_j p_j log p_j,

    d loss / d logit_j = A_i (p_j - [j = a_i]) + beta p_j (log p_j + H)
    d loss / d V       = - (R_i - V)

Policy and value share every layer but the outputs; the last column of the outputs is V, the others are the logits.
"""

import numpy as np

from numasync.algorithms.policy import log_softmax
from numasync.runtime.jit import FLOAT, kernel


@kernel
def a3c(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Write d(loss)/d(outputs) for a segment of n steps and return the loss.

    d_outputs: (>= n, n_actions + 1); rows 0..n-1 are overwritten.
    outputs: logits and V(s_i; theta'), (>= n, n_actions + 1).
    bootstrap: logits and V(s_n; theta') in row n, not read if `terminated`.
    actions, rewards: (>= n,). action_map: not used.
    """
    v = outputs.shape[1] - 1
    loss = FLOAT(0)
    R = FLOAT(0)
    if not terminated:
        R = bootstrap[n, v]
    for i in range(n - 1, -1, -1):
        R = rewards[i] + gamma * R
        advantage = R - outputs[i, v]
        log_pi = d_outputs[i, :v]
        log_softmax(log_pi, outputs[i, :v])
        loss -= log_pi[actions[i]] * advantage
        entropy = FLOAT(0)
        for j in range(v):
            entropy -= np.exp(log_pi[j]) * log_pi[j]
        for j in range(v):
            p = np.exp(log_pi[j])
            d_outputs[i, j] = advantage * p + beta * p * (log_pi[j] + entropy)
        d_outputs[i, actions[i]] -= advantage
        loss += FLOAT(0.5) * advantage * advantage - beta * entropy
        d_outputs[i, v] = -advantage
    return loss
