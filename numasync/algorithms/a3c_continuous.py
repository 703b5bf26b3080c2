"""A3C for continuous actions: `a3c.py` with the Gaussian policy of the MuJoCo tasks of Mnih et al. 2016, section 9.

    pi(. | s_i) = N(mu(s_i), sigma^2(s_i) I),  mu linear, sigma^2 = softplus(x)
    log pi(a | s) = - |a - mu|^2 / (2 sigma^2) - d/2 log(2 pi sigma^2)
    H             = d/2 (log(2 pi sigma^2) + 1)
    loss = sum_i  - log pi(a_i | s_i) A_i  -  beta H(pi(. | s_i))  +  1/2 (R_i - V(s_i))^2

An action has d numbers, and one variance serves all of them. `a3c.py` defines R_i and A_i. With softplus'(x) = 1 / (1 +
exp(-x)),

    d loss / d mu_j = - A_i (a_j - mu_j) / sigma^2
    d loss / d x    = (A_i (d - |a - mu|^2 / sigma^2) - beta d) / (2 sigma^2) softplus'(x)
    d loss / d V    = - (R_i - V)

a_i is the action that the policy drew. The environment gets it mapped to its own units and clipped to its bounds, see
`envs/spec.py`. So an action here is about 1 in size, whatever the environment's range. `hold_means` in `policy.py` then
keeps mu within the bounds.
"""

import numpy as np

from numasync.algorithms.policy import variance
from numasync.runtime.jit import FLOAT, kernel


@kernel
def a3c_continuous(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Write d(loss)/d(outputs) for a segment of n steps and return the loss.

    d_outputs: (>= n, d + 2); rows 0..n-1 are overwritten.
    outputs: mu, x and V(s_i; theta'), (>= n, d + 2).
    bootstrap: mu, x and V(s_n; theta') in row n, not read if `terminated`.
    actions: (>= n, d). rewards: (>= n,). action_map: not used.
    """
    d = actions.shape[1]
    x, v = d, d + 1
    loss = FLOAT(0)
    R = FLOAT(0)
    if not terminated:
        R = bootstrap[n, v]
    for i in range(n - 1, -1, -1):
        R = rewards[i] + gamma * R
        advantage = R - outputs[i, v]
        sigma2 = variance(outputs[i, x])
        distance = FLOAT(0)
        for j in range(d):
            off = actions[i, j] - outputs[i, j]
            distance += off * off / sigma2
            d_outputs[i, j] = -advantage * off / sigma2
        log_sigma2 = FLOAT(d) * np.log(FLOAT(2 * np.pi) * sigma2)
        loss += FLOAT(0.5) * (advantage * (distance + log_sigma2) - beta * (log_sigma2 + FLOAT(d)))
        loss += FLOAT(0.5) * advantage * advantage
        d_sigma2 = FLOAT(0.5) * (advantage * (FLOAT(d) - distance) - beta * FLOAT(d)) / sigma2
        d_outputs[i, x] = d_sigma2 / (FLOAT(1) + np.exp(-outputs[i, x]))
        d_outputs[i, v] = -advantage
    return loss
