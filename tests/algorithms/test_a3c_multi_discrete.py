"""A3C for actions of several integers: a segment worked by hand, central differences, the reference, identities."""

import numpy as np
import pytest
from support.numerics import central_differences

from numasync import InputError
from numasync.algorithms import ALGORITHMS, MULTI_DISCRETE, algorithm_for, algorithms_for
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.nn import reference
from numasync.runtime.jit import FLOAT

LN2, LN3 = np.log(2), np.log(3)
UNTOUCHED = 7.0

terminations = pytest.mark.parametrize("terminated", [False, True])


def spec_of(nvec):
    return CARTPOLE.spec._replace(id="Multi-v0", n_actions=len(nvec), nvec=tuple(nvec))


def gradient(nvec, outputs, bootstrap, actions, rewards, n, terminated=False, gamma=0.5, beta=0.0, dtype=np.float64):
    """(loss, d_outputs) of a segment, d_outputs with the rows that the kernel did not write left at UNTOUCHED."""
    outputs, bootstrap, rewards = (np.ascontiguousarray(a, dtype) for a in (outputs, bootstrap, rewards))
    d_outputs = np.full_like(outputs, UNTOUCHED)
    numbers = (spec_of(nvec).action_map, n, terminated, dtype(gamma), dtype(beta))
    kernel = MULTI_DISCRETE["a3c"].kernel
    return kernel(d_outputs, outputs, bootstrap, np.array(actions, np.int64), rewards, *numbers), d_outputs


def random_segment(nvec, seed, n, dtype=np.float64):
    """outputs, bootstrap, actions and rewards of n steps, n + 1 rows each."""
    rng = np.random.default_rng(seed)
    outputs, bootstrap = rng.normal(size=(2, n + 1, sum(nvec) + 1)).astype(dtype)
    return outputs, bootstrap, rng.integers(nvec, size=(n + 1, len(nvec))), rng.normal(size=n + 1).astype(dtype)


def returns_of(bootstrap, rewards, n, terminated, gamma):
    return reference.returns(rewards[:n], 0.0 if terminated else bootstrap[n, -1], gamma)


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_a_segment_by_hand(beta):
    # Two integers with 2 and 3 values. In s_0 pi_1 = (1/2, 1/2), pi_2 = (1/3, 1/3, 1/3), V = 1; in s_1 pi_1 =
    # (3/4, 1/4), pi_2 = (1/2, 1/4, 1/4), V = 2. Actions (0, 2) and (1, 0); r = (1, 2), gamma = 0.5, V(s_2) = 6.
    # R_1 = 2 + 3 = 5, R_0 = 1 + 2.5 = 3.5, so the advantages are A_0 = 2.5 and A_1 = 3.
    outputs = [[0, 0, 0, 0, 0, 1], [LN3, 0, LN2, 0, 0, 2], [0] * 6]
    bootstrap = [[9] * 6, [9] * 6, [9, 9, 9, 9, 9, 6]]
    loss, d_outputs = gradient((2, 3), outputs, bootstrap, [[0, 2], [1, 0], [0, 0]], [1, 2, 9], 2, beta=beta)
    # H_1 of s_1 is 3/4 ln 4/3 + 1/4 ln 4, H_2 is 1/2 ln 2 + 1/2 ln 4.
    entropy = (LN2 + LN3) + (0.75 * (2 * LN2 - LN3) + 0.25 * 2 * LN2) + 1.5 * LN2
    # log pi(a_0) = ln 1/2 + ln 1/3, log pi(a_1) = ln 1/4 + ln 1/2
    np.testing.assert_allclose(loss, 2.5 * (LN2 + LN3) + 3 * 3 * LN2 - beta * entropy + (6.25 + 9) / 2, rtol=1e-12)
    # A (p - onehot) for each integer and -A. The entropies of s_0 have gradient 0. Of s_1, p_m (log p_m + H) is
    # 3/16 ln 3 and its negative for the first integer. For the second one it is 1/2 (-ln 2 + 3/2 ln 2) = 1/4 ln 2, and
    # 1/4 (-2 ln 2 + 3/2 ln 2) = - 1/8 ln 2 twice.
    first, second = beta * 3 / 16 * LN3, beta * LN2 / 8
    expected = [
        [-1.25, 1.25, 2.5 / 3, 2.5 / 3, -5 / 3, -2.5],
        [2.25 + first, -2.25 - first, -1.5 + 2 * second, 0.75 - second, 0.75 - second, -3],
    ]
    np.testing.assert_allclose(d_outputs[:2], expected, rtol=1e-12)
    assert (d_outputs[2] == UNTOUCHED).all()


@terminations
@pytest.mark.parametrize("nvec", [(2, 3), (4,), (1, 2, 2, 5)])
def test_the_gradient_by_central_differences(nvec, terminated):
    n, gamma, beta = 4, 0.9, 0.3
    outputs, bootstrap, actions, rewards = random_segment(nvec, 1, n)
    kernel_loss, d_outputs = gradient(nvec, outputs, bootstrap, actions, rewards, n, terminated, gamma, beta)
    R = returns_of(bootstrap, rewards, n, terminated, gamma)
    advantages = R - outputs[:n, -1]  # constant: no gradient through V in the policy term

    def loss(outputs):
        total, at = 0.5 * (R - outputs[:n, -1]) ** 2, 0
        for j, size in enumerate(nvec):
            p = np.exp(outputs[:n, at : at + size]) / np.exp(outputs[:n, at : at + size]).sum(axis=1, keepdims=True)
            total = total - np.log(p[np.arange(n), actions[:n, j]]) * advantages + beta * (p * np.log(p)).sum(axis=1)
            at += size
        return total.sum()

    np.testing.assert_allclose(kernel_loss, loss(outputs), rtol=1e-12)
    np.testing.assert_allclose(d_outputs[:n], central_differences(loss, outputs)[:n], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [FLOAT, np.float64])
@terminations
@pytest.mark.parametrize("nvec", [(2, 3), (2,) * 7, (3, 1)])
def test_random_segments_match_the_reference(nvec, terminated, dtype):
    rtol = 1e-4 if dtype == FLOAT else 1e-12
    for n in (1, 2, 5, 20):
        segment = random_segment(nvec, n, n, dtype)
        loss, d_outputs = gradient(nvec, *segment, n, terminated, 0.95, 0.02, dtype)
        outputs, bootstrap, actions, rewards = segment
        R = returns_of(bootstrap.astype(np.float64), rewards.astype(np.float64), n, terminated, 0.95)
        expected = reference.a3c_multi_discrete(outputs[:n].astype(np.float64), nvec, actions[:n], R, 0.02)
        np.testing.assert_allclose(loss, expected[0], rtol=rtol)
        np.testing.assert_allclose(d_outputs[:n], expected[1], rtol=rtol, atol=rtol)


@terminations
@pytest.mark.parametrize("n_actions", [1, 2, 3, 8, 18])
def test_one_integer_is_a3c_bit_for_bit(n_actions, terminated):
    for seed, n in enumerate([1, 5, 20]):
        outputs, bootstrap, actions, rewards = random_segment((n_actions,), seed, n, FLOAT)
        loss, d_outputs = gradient((n_actions,), outputs, bootstrap, actions, rewards, n, terminated, 0.99, 0.01, FLOAT)
        expected = np.full_like(outputs, UNTOUCHED)
        numbers = (CARTPOLE.spec.action_map, n, terminated, FLOAT(0.99), FLOAT(0.01))
        its_actions = np.ascontiguousarray(actions[:, 0])
        its_loss = ALGORITHMS["a3c"].kernel(expected, outputs, bootstrap, its_actions, rewards, *numbers)
        np.testing.assert_array_equal(d_outputs, expected)
        np.testing.assert_allclose(loss, its_loss, rtol=1e-5)  # the same sum, in another order


def test_two_integers_of_which_one_has_one_value_are_a3c():
    # An integer without a choice has probability 1 and no entropy.
    outputs, bootstrap, actions, rewards = random_segment((3, 1), 4, 5)
    loss, d_outputs = gradient((3, 1), outputs, bootstrap, actions, rewards, 5, beta=0.3)
    kept = [0, 1, 2, 4]
    alone = gradient((3,), outputs[:, kept], bootstrap[:, kept], actions[:, :1], rewards, 5, beta=0.3)
    assert loss == pytest.approx(alone[0], rel=1e-12)
    np.testing.assert_allclose(d_outputs[:5, kept], alone[1][:5], rtol=1e-12)
    assert not d_outputs[:5, 3].any()


def test_extreme_logits_have_a_finite_loss_and_gradient():
    outputs = [[1e4, 0, -1e4, 1e4, 1]]
    loss, d_outputs = gradient((2, 2), outputs, np.zeros((2, 5)), [[1, 0]], [2], 1, True, beta=0.01, dtype=FLOAT)
    # The integers have log probability -1e4 and -2e4; R = 2, V = 1: A = 1.
    np.testing.assert_allclose(loss, 3e4 + 0.5, rtol=1e-6)
    np.testing.assert_allclose(d_outputs, [[1, -1, -1, 1, -1]], atol=1e-6)


def test_only_the_documented_rows_are_read_and_written():
    outputs, bootstrap, actions, rewards = random_segment((2, 3), 7, 5)
    for terminated in (False, True):
        expected = gradient((2, 3), outputs, bootstrap, actions, rewards, 3, terminated)
        outputs[3:] = rewards[3:] = bootstrap[4:] = bootstrap[:3] = np.nan
        bootstrap[3] = np.nan if terminated else bootstrap[3]
        loss, d_outputs = gradient((2, 3), outputs, bootstrap, actions, rewards, 3, terminated)
        assert loss == expected[0] and np.isfinite(loss)
        np.testing.assert_array_equal(d_outputs, expected[1])
        assert (d_outputs[3:] == UNTOUCHED).all() and (d_outputs[:3] != UNTOUCHED).all()


def test_only_a3c_has_actions_of_several_integers():
    spec = spec_of((2, 3))
    assert algorithm_for("a3c", spec) is MULTI_DISCRETE["a3c"] and algorithms_for(spec) is MULTI_DISCRETE
    for name in ALGORITHMS.keys() - {"a3c"}:
        says = f"Multi-v0 has actions of several integers, and {name} needs one integer; choose a3c.$"
        with pytest.raises(InputError, match=says):
            algorithm_for(name, spec)
