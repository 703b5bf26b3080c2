"""The three optimisers of the paper (section 4): theta and, for shared RMSProp, g are written by many threads, no
lock.

A thread adds its own step to whatever the others have left in theta. Two threads that meet on one element may lose
one of the two steps; nothing waits. All three have one signature and clear the gradient as they go: one pass over
memory.
"""

from typing import Callable, NamedTuple

import numpy as np

from numasync.jit import FLOAT, NONE, REAL, VECTOR, function_type, kernel


@kernel
def momentum_sgd(theta, grad, m, lr, decay, rms_eps, scale):
    """m = decay m + (1 - decay) d, theta -= lr m, with d = scale grad; grad = 0. rms_eps is not used. All: (n,)."""
    for i in range(theta.size):
        d = scale * grad[i]
        m[i] = decay * m[i] + (FLOAT(1) - decay) * d
        theta[i] -= lr * m[i]
        grad[i] = FLOAT(0)


@kernel
def rmsprop(theta, grad, g, lr, decay, rms_eps, scale):
    """g = decay g + (1 - decay) d^2, theta -= lr d / sqrt(g + rms_eps), with d = scale grad; grad = 0. All: (n,).

    Not centred, rms_eps inside the root. g is one thread's own, or one array for all threads
    (shared RMSProp), in which case an element may be overwritten between its two uses: g is not read back.
    """
    for i in range(theta.size):
        d = scale * grad[i]
        g_new = decay * g[i] + (FLOAT(1) - decay) * d * d
        g[i] = g_new
        theta[i] -= lr * d / np.sqrt(g_new + rms_eps)
        grad[i] = FLOAT(0)


@kernel
def clip_scale(grad, clip_norm):
    """The factor that brings the L2 norm of grad down to clip_norm (1 if it is below, or clip_norm is 0); NaN or inf
    where grad, or the sum of its squares, is not finite."""
    squares = FLOAT(0)
    for i in range(grad.size):
        squares += grad[i] * grad[i]
    norm = np.sqrt(squares)
    if not np.isfinite(norm):
        return norm
    if clip_norm > FLOAT(0) and norm > clip_norm:
        return clip_norm / norm
    return FLOAT(1)


class Optimizer(NamedTuple):
    """kernel, and whether its state (g) is one array for all workers; otherwise each worker has its own."""

    kernel: Callable
    shared_state: bool


OPTIMIZERS = {
    "shared_rmsprop": Optimizer(rmsprop, True),
    "rmsprop": Optimizer(rmsprop, False),
    "momentum_sgd": Optimizer(momentum_sgd, False),
}

# (theta, grad, state, lr, decay, rms_eps, scale)
UPDATE_TYPE = function_type(NONE, VECTOR, VECTOR, VECTOR, REAL, REAL, REAL, REAL)
