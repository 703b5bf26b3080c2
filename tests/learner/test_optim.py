"""The optimisers against their reference, and by hand where a common mistake would show."""

import numpy as np
import pytest
from support.numerics import assert_close
from support.products import dtypes

from numasync.learner.optim import (
    BLOCK,
    OPTIMIZERS,
    blocks_of,
    catch_up,
    clip_scale,
    gradient_norm,
    mark_updated,
    momentum_sgd,
    new_state,
    rmsprop,
    sum_squares,
)
from numasync.nn import reference
from numasync.runtime.memory import CACHE_LINE


def test_every_thread_counts_updates_in_a_line_that_holds_nothing_else():
    arrays = new_state(3)
    lines = [array.ctypes.data // CACHE_LINE for array in arrays]
    assert len(set(lines)) == len(lines) and all(array.ctypes.data % CACHE_LINE == 0 for array in arrays)


@dtypes
@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("name", ["momentum_sgd", "rmsprop"])
def test_steps_match_the_reference(name, scale, dtype):
    generator = np.random.default_rng(6)
    theta, state = generator.standard_normal(37).astype(dtype), np.zeros(37, dtype)
    expected_theta, expected_state = theta.astype(np.float64), np.zeros(37)
    for step in range(6):
        grad = generator.standard_normal(37).astype(dtype)
        grad[step] = 0
        lr = 0.05 / (1 + step)
        if name == "rmsprop":
            expected_theta, expected_state = reference.rmsprop(
                expected_theta, grad, expected_state, lr, 0.9, 0.1, scale
            )
            rmsprop(theta, grad, state, dtype(lr), dtype(0.9), dtype(0.1), dtype(scale))
        else:
            expected_theta, expected_state = reference.momentum_sgd(
                expected_theta, grad, expected_state, lr, 0.9, scale
            )
            momentum_sgd(theta, grad, state, dtype(lr), dtype(0.9), dtype(0.1), dtype(scale))
        assert_close(theta, expected_theta)
        assert_close(state, expected_state)
        np.testing.assert_array_equal(grad, 0)


def one(value):
    return np.array([value], np.float32)


def scalars(*values):
    return [np.float32(value) for value in values]


def test_rms_eps_stands_inside_the_root():
    theta, grad, g = one(0), one(1), one(0)
    rmsprop(theta, grad, g, *scalars(0.5, 0.99, 0.1, 1))
    assert g[0] == pytest.approx(0.01, rel=1e-5)
    assert theta[0] == pytest.approx(-0.5 / np.sqrt(0.01 + 0.1), rel=1e-5)  # outside: -0.5 / (sqrt(0.01) + 0.1) = -2.5


def test_rmsprop_is_not_centred():
    theta, g = one(0), one(0)
    for _ in range(50):  # a constant gradient has no variance: centred, the step would grow to lr / sqrt(rms_eps)
        before = theta[0]
        rmsprop(theta, one(2), g, *scalars(1, 0.5, 1e-4, 1))
    assert theta[0] - before == pytest.approx(-1, rel=1e-4)


def test_momentum_moves_on_without_a_gradient():
    theta, m = one(1), one(0)
    momentum_sgd(theta, one(2), m, *scalars(0.1, 0.5, 0, 1))
    assert m[0] == 1 and theta[0] == pytest.approx(0.9)
    momentum_sgd(theta, one(0), m, *scalars(0.1, 0.5, 0, 1))
    assert m[0] == 0.5 and theta[0] == pytest.approx(0.85)


@dtypes
@pytest.mark.parametrize("decay", [0.99, 0.0, 1.0])
@pytest.mark.parametrize("updates", [1, 7, 500])
def test_g_decays_for_many_updates_at_once(updates, decay, dtype):
    g = np.linspace(1, 2, 5).astype(dtype)
    catch_up(g, updates, dtype(decay))
    np.testing.assert_allclose(g, np.linspace(1, 2, 5) * decay**updates, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_updates_are_counted_for_each_block_with_a_gradient():
    state, skipped = new_state(3 * BLOCK), np.zeros(3, np.int64)
    for squares, lazy in [
        ([1, 0, 2], [0, 0, 0]),
        ([0, 0, 1], [0, 0, 0]),
        ([0, 0, 0], [0, 0, 0]),
        ([3, 1, 0], [2, 3, 0]),
    ]:
        mark_updated(skipped, state, np.array(squares, np.float32))
        np.testing.assert_array_equal(skipped, lazy)
    assert state.updates[0] == 4
    np.testing.assert_array_equal(state.last_update, [4, 4, 2])


@pytest.mark.parametrize("n, blocks", [(1, 1), (BLOCK, 1), (BLOCK + 1, 2), (5 * BLOCK, 5)])
def test_blocks_cover_all_parameters(n, blocks):
    state = new_state(n)
    assert blocks_of(n) == blocks == state.last_update.size and state.values.size == n


def squares_of(grad):
    squares = np.full(blocks_of(grad.size), 7, grad.dtype)
    sum_squares(squares, grad)
    return squares


@dtypes
def test_squares_are_summed_for_each_block(dtype):
    grad = np.random.default_rng(7).standard_normal(2 * BLOCK + 37).astype(dtype)
    grad[BLOCK : 2 * BLOCK] = 0
    parts = grad[:BLOCK], grad[BLOCK : 2 * BLOCK], grad[2 * BLOCK :]
    np.testing.assert_allclose(squares_of(grad), [np.sum(part.astype(float) ** 2) for part in parts], rtol=1e-5)


@pytest.mark.parametrize("clip_norm, expected", [(1, 0.2), (2.5, 0.5), (5, 1), (10, 1), (0, 1)])
def test_clip_scale_by_hand(clip_norm, expected):
    grad = np.array([3, 0, -4], np.float32)
    assert clip_scale(gradient_norm(squares_of(grad)), np.float32(clip_norm)) == pytest.approx(expected)
    np.testing.assert_array_equal(grad, [3, 0, -4])


@dtypes
def test_clip_scale_brings_the_norm_down(dtype):
    grad = np.random.default_rng(7).standard_normal(1001).astype(dtype)
    scale = clip_scale(gradient_norm(squares_of(grad)), dtype(4))
    assert scale == pytest.approx(reference.clip_scale(grad.astype(np.float64), 4), rel=1e-5)
    assert np.linalg.norm(scale * grad) == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("position", [0, 20, BLOCK + 10])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_norm_shows_what_is_not_finite(bad, position):
    grad = np.ones(BLOCK + 21, np.float32)
    assert gradient_norm(squares_of(grad)) == pytest.approx(np.sqrt(BLOCK + 21))
    grad[position] = bad
    assert not np.isfinite(gradient_norm(squares_of(grad)))


def test_clip_scale_of_a_zero_gradient():
    assert clip_scale(gradient_norm(squares_of(np.zeros(5, np.float32))), np.float32(4)) == 1


def test_table():
    assert OPTIMIZERS == {
        "shared_rmsprop": (rmsprop, True, True),
        "rmsprop": (rmsprop, False, True),
        "momentum_sgd": (momentum_sgd, False, False),
    }
