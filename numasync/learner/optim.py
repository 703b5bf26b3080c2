"""The three optimisers of the paper (section 4): theta and, for shared RMSProp, g are written by many threads, no
lock.

A thread adds its own step to whatever the others have left in theta. Two threads that meet on one element may lose
one of the two steps; nothing waits. All three have one signature and clear the gradient as they go: one pass over
memory.

Parameters are updated a block at a time, and a block may rest. After a relu most of a large layer's gradient is zeros;
RMSProp leaves a parameter without a gradient where it is, and its g decays: k such updates make decay^k g of it, all at
once when the block next has a gradient. What rests is neither fetched nor written, which takes longer than the
arithmetic where it is in another core's cache.
"""

from typing import Callable, NamedTuple

import numpy as np

from numasync.nn.products.views import vector_at
from numasync.runtime.jit import FLOAT, float32, float32_1d, function_type, kernel, none
from numasync.runtime.memory import aligned_zeros

# Parameters of a block: about a row of a large layer's weights.
BLOCK = 256


class OptimizerState(NamedTuple):
    """m or g: (n,); updates: int64 (1,), how many it has seen; updated: int64 (blocks_of(n),), how many it had seen when
    the block last had a gradient."""

    values: np.ndarray
    updates: np.ndarray
    last_update: np.ndarray


def blocks_of(n):
    """How many blocks n parameters are; the last may be shorter."""
    return -(-n // BLOCK)


def new_state(n):
    """The OptimizerState of n parameters before the first update."""
    return OptimizerState(aligned_zeros((n,), FLOAT), aligned_zeros((1,), np.int64), aligned_zeros((blocks_of(n),), np.int64))


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
def mark_updated(state, squares, skipped):
    """Count an update of the blocks whose squares are not 0; rested[b] = how many updates block b of them has rested
    through since its last. squares, rested: (blocks,).

    Two workers that share `state` and count at the same moment may count one update. In a pass of its own, because a wait
    for what another core has written, block after block in the middle of an update, took a quarter of MinAtar's time.
    """
    before = state.updates[0]
    state.updates[0] = before + 1
    for block in range(squares.size):
        if squares[block] > 0:
            skipped[block] = before - state.last_update[block]
            state.last_update[block] = before + 1


@kernel
def catch_up(updates, g, decay):
    """g = decay^updates g: what so many updates of RMSProp without a gradient make of it. g: (n,)."""
    # By its logarithm, because a power of an integer would be float64, and so would the product with it.
    factor = np.exp(FLOAT(updates) * np.log(decay))
    for i in range(g.size):
        g[i] *= factor


@kernel
def sum_squares(grad, squares):
    """squares[b] = the sum of grad^2 over block b. grad: (n,); squares: (blocks_of(n),)."""
    for block in range(squares.size):
        at = block * BLOCK
        part = vector_at(grad, at, min(BLOCK, grad.size - at))
        total = FLOAT(0)
        for i in range(part.size):
            total += part[i] * part[i]
        squares[block] = total


@kernel
def clip_scale(squares, clip_norm):
    """The factor that brings the L2 norm of a gradient, the root of the sum of `squares`, down to clip_norm (1 if it is
    below, or clip_norm is 0); NaN or inf where the sum is not finite."""
    total = FLOAT(0)
    for block in range(squares.size):
        total += squares[block]
    norm = np.sqrt(total)
    if not np.isfinite(norm):
        return norm
    if clip_norm > FLOAT(0) and norm > clip_norm:
        return clip_norm / norm
    return FLOAT(1)


class Optimizer(NamedTuple):
    """kernel; whether its state (g) is one array for all workers, otherwise each worker has its own; whether a block
    without a gradient rests: momentum moves a parameter on."""

    kernel: Callable
    shared_state: bool
    lazy: bool


OPTIMIZERS = {
    "shared_rmsprop": Optimizer(rmsprop, True, True),
    "rmsprop": Optimizer(rmsprop, False, True),
    "momentum_sgd": Optimizer(momentum_sgd, False, False),
}

# (theta, grad, state, lr, decay, rms_eps, scale)
UPDATE_TYPE = function_type(none, float32_1d, float32_1d, float32_1d, float32, float32, float32, float32)
