"""The three optimisers of the paper (section 4).

Many threads write theta, and the g of shared RMSProp, without a lock. A thread adds its own step to what the others
have left in theta. Two threads that meet on one element may lose one of the two steps. Nothing waits. All three
optimisers have one signature and clear the gradient as they go: one pass over memory.

**Lazy updates.** Parameters are updated a block at a time. After a relu most of a large layer's gradient is zeros.
RMSProp leaves a parameter without a gradient where it is, and its g decays. So a block whose gradient is zero is
skipped, and the missed decay of k updates, g <- decay^k g, is applied at its next update. The result is the same, with
less traffic between the cores' caches. Momentum moves a parameter on without a gradient: it is never lazy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numasync.nn.products.views import vector_at
from numasync.runtime.jit import FLOAT, float32, float32_1d, function_type, kernel, kernel_or, none
from numasync.runtime.memory import aligned_zeros

# Parameters in a block: about a row of a large layer's weights.
BLOCK = 256


class OptimizerState(NamedTuple):
    """What an optimiser remembers of n parameters.

    values: m or g, (n,).
    updates: int64 (1,), how many updates it has made.
    last_update: int64 (blocks_of(n),), the number of the last update with a gradient, for each block.
    """

    values: np.ndarray
    updates: np.ndarray
    last_update: np.ndarray


def blocks_of(n: int) -> int:
    """Return the number of blocks of n parameters. The last block may be shorter."""
    return -(-n // BLOCK)


def new_state(n: int) -> OptimizerState:
    """Make the OptimizerState of n parameters before the first update."""
    return OptimizerState(
        values=aligned_zeros((n,), FLOAT),
        updates=aligned_zeros((1,), np.int64),
        last_update=aligned_zeros((blocks_of(n),), np.int64),
    )


def momentum_sgd_in_numpy(theta, grad, m, lr, decay, rms_eps, scale):
    """`momentum_sgd` in NumPy."""
    m *= decay
    m += (FLOAT(1) - decay) * scale * grad
    theta -= lr * m
    grad[:] = FLOAT(0)


@kernel_or(momentum_sgd_in_numpy)
def momentum_sgd(theta, grad, m, lr, decay, rms_eps, scale):
    """m = decay m + (1 - decay) d, theta -= lr m, with d = scale grad; grad = 0. rms_eps is not used. All: (n,)."""
    for i in range(theta.size):
        d = scale * grad[i]
        m[i] = decay * m[i] + (FLOAT(1) - decay) * d
        theta[i] -= lr * m[i]
        grad[i] = FLOAT(0)


def rmsprop_in_numpy(theta, grad, g, lr, decay, rms_eps, scale):
    """`rmsprop` in NumPy."""
    d = scale * grad
    g_new = (FLOAT(1) - decay) * d
    g_new *= d
    g_new += decay * g
    g[:] = g_new
    g_new += rms_eps
    d *= lr
    d /= np.sqrt(g_new, out=g_new)
    theta -= d
    grad[:] = FLOAT(0)


@kernel_or(rmsprop_in_numpy)
def rmsprop(theta, grad, g, lr, decay, rms_eps, scale):
    """g = decay g + (1 - decay) d^2, theta -= lr d / sqrt(g + rms_eps), with d = scale grad; grad = 0. All: (n,).

    Not centred, rms_eps inside the root. g is one thread's own, or one array for all threads (shared RMSProp). There
    another thread may overwrite an element between its two uses, so that g is not read back.
    """
    for i in range(theta.size):
        d = scale * grad[i]
        g_new = decay * g[i] + (FLOAT(1) - decay) * d * d
        g[i] = g_new
        theta[i] -= lr * d / np.sqrt(g_new + rms_eps)
        grad[i] = FLOAT(0)


@kernel
def mark_updated(skipped, state, squares):
    """Count an update. skipped[b] = how many updates block b has skipped since its last one, if it has a gradient now.

    skipped: int64 (blocks,). state: an OptimizerState. squares: (blocks,), see `sum_squares`.

    Two workers that share `state` and count at the same moment may count one update. It is a pass of its own: to wait
    for another core's line, block after block in the middle of an update, took a quarter of MinAtar's time.
    """
    before = state.updates[0]
    state.updates[0] = before + 1
    for block in range(squares.size):
        if squares[block] > 0:
            skipped[block] = before - state.last_update[block]
            state.last_update[block] = before + 1


def mark_all_updated(state: OptimizerState, decay: float) -> None:
    """Count an update of all blocks, and apply the decay that a block has skipped before, in NumPy."""
    skipped = state.updates[0] - state.last_update
    if skipped.any():
        factors = np.exp(skipped.astype(FLOAT) * np.log(decay))
        np.multiply(state.values, np.repeat(factors, BLOCK)[: state.values.size], out=state.values)
    state.updates[0] += 1
    state.last_update[:] = state.updates[0]


@kernel
def catch_up(g, updates, decay):
    """g = decay^updates g: the decay that lazy updates have skipped. g: (n,)."""
    # By its logarithm, because a power of an integer would be float64, and so would the product with it.
    factor = np.exp(FLOAT(updates) * np.log(decay))
    for i in range(g.size):
        g[i] *= factor


def sum_squares_in_numpy(squares, grad):
    """`sum_squares` in NumPy."""
    np.add.reduceat(grad * grad, range(0, grad.size, BLOCK), out=squares)


@kernel_or(sum_squares_in_numpy)
def sum_squares(squares, grad):
    """squares[b] = the sum of grad^2 over block b. squares: (blocks_of(n),); grad: (n,)."""
    for block in range(squares.size):
        at = block * BLOCK
        part = vector_at(grad, at, min(BLOCK, grad.size - at))
        total = FLOAT(0)
        for i in range(part.size):
            total += part[i] * part[i]
        squares[block] = total


def gradient_norm_in_numpy(squares):
    """`gradient_norm` in NumPy."""
    return np.sqrt(squares.sum())


@kernel_or(gradient_norm_in_numpy)
def gradient_norm(squares):
    """The L2 norm of a gradient, whose squares are summed as in `sum_squares`. It is NaN or inf where the sum is."""
    total = FLOAT(0)
    for block in range(squares.size):
        total += squares[block]
    return np.sqrt(total)


@kernel
def clip_scale(grad_norm, clip_norm):
    """The factor that brings a gradient of this L2 norm down to clip_norm; 1 for a norm below, or clip_norm = 0."""
    if clip_norm > FLOAT(0) and grad_norm > clip_norm:
        return clip_norm / grad_norm
    return FLOAT(1)


class Optimizer(NamedTuple):
    """A row of the table of optimisers.

    kernel: updates theta. shared_state: whether all workers share one OptimizerState. lazy: whether a block without a
    gradient can be skipped.
    """

    kernel: Callable[..., Any]
    shared_state: bool
    lazy: bool


OPTIMIZERS = {
    "shared_rmsprop": Optimizer(rmsprop, shared_state=True, lazy=True),
    "rmsprop": Optimizer(rmsprop, shared_state=False, lazy=True),
    "momentum_sgd": Optimizer(momentum_sgd, shared_state=False, lazy=False),
}

# (theta, grad, state, lr, decay, rms_eps, scale)
UPDATE_TYPE = function_type(none, float32_1d, float32_1d, float32_1d, float32, float32, float32, float32)
