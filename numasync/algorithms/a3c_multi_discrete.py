"""A3C for actions of several integers, Gymnasium's MultiDiscrete and MultiBinary: `a3c.py` with a softmax for each.

An action has k integers, and integer j has n_j values. The logits stand side by side: n_1 of the first integer, n_2 of
the second one, and so on. Given the state, the integers are independent of each other:

    pi_j(. | s)   = softmax of the logits of integer j
    log pi(a | s) = sum_j log pi_j(a_j | s)
    H             = sum_j H_j,  H_j = - sum_m p_jm log p_jm,  p_j = pi_j(. | s_i)
    loss = sum_i  - log pi(a_i | s_i) A_i  -  beta H(pi(. | s_i))  +  1/2 (R_i - V(s_i))^2

`a3c.py` defines R_i and A_i. The logit m of integer j is in log pi_j and in H_j alone, so that

    d loss / d logit_jm = A_i (p_jm - [m = a_ij]) + beta p_jm (log p_jm + H_j)
    d loss / d V        = - (R_i - V)

An action of one integer is `a3c.py` itself. A policy of this kind needs n_1 + ... + n_k outputs, where one softmax over
all actions needs n_1 * ... * n_k. It cannot let one integer depend on another one of the same step. Tavakoli, Pardo &
Kormushev 2018 (Action Branching Architectures for Deep Reinforcement Learning) give each integer outputs of its own.
"""

import numpy as np

from numasync.algorithms.policy import log_softmax
from numasync.runtime.jit import FLOAT, kernel


@kernel
def a3c_multi_discrete(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """Write d(loss)/d(outputs) for a segment of n steps and return the loss.

    d_outputs: (>= n, n_1 + ... + n_k + 1); rows 0..n-1 are overwritten.
    outputs: logits and V(s_i; theta'), (>= n, n_1 + ... + n_k + 1).
    bootstrap: logits and V(s_n; theta') in row n, not read if `terminated`.
    actions: (>= n, k). rewards: (>= n,).
    action_map: (k + 1,); the logits of integer j are the outputs from action_map[j] to action_map[j + 1].
    """
    v = outputs.shape[1] - 1
    loss = FLOAT(0)
    R = FLOAT(0)
    if not terminated:
        R = bootstrap[n, v]
    for i in range(n - 1, -1, -1):
        R = rewards[i] + gamma * R
        advantage = R - outputs[i, v]
        for j in range(actions.shape[1]):
            begin, end = action_map[j], action_map[j + 1]
            loss += policy_loss(d_outputs[i, begin:end], outputs[i, begin:end], actions[i, j], advantage, beta)
        loss += FLOAT(0.5) * advantage * advantage
        d_outputs[i, v] = -advantage
    return loss


@kernel
def policy_loss(d_logits, logits, action, advantage, beta):
    """Write d(loss)/d(logits) of one integer in one step, and return its part of the loss, - log p_a A - beta H.

    d_logits, logits: (n_j,). action: the integer, a.
    """
    log_softmax(d_logits, logits)
    loss = -d_logits[action] * advantage
    entropy = FLOAT(0)
    for m in range(logits.size):
        entropy -= np.exp(d_logits[m]) * d_logits[m]
    for m in range(logits.size):
        p = np.exp(d_logits[m])
        d_logits[m] = advantage * p + beta * p * (d_logits[m] + entropy)
    d_logits[action] -= advantage
    return loss - beta * entropy
