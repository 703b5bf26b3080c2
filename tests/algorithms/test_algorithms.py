"""The algorithm kernels: segments worked by hand, gradients by central differences, the reference, identities."""

import numpy as np
import pytest
from support.numerics import central_differences

from numasync import InputError
from numasync.algorithms import ALGORITHMS, CONTINUOUS, algorithm_for
from numasync.algorithms.policy import SMALLEST_VARIANCE
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.nn import reference
from numasync.runtime.jit import FLOAT

Q_METHODS = ("one_step_q", "one_step_sarsa", "nstep_q")
LN2, LN3 = np.log(2), np.log(3)
UNTOUCHED = 7.0

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


def gradient(algo, outputs, bootstrap, actions, rewards, n, terminated=False, gamma=0.5, beta=0.0, dtype=FLOAT):
    """(loss, d_outputs) of a segment, d_outputs with the rows that the kernel did not write left at UNTOUCHED."""
    outputs, bootstrap, rewards = (np.ascontiguousarray(a, dtype) for a in (outputs, bootstrap, rewards))
    d_outputs = np.full_like(outputs, UNTOUCHED)
    actions = np.array(actions, np.int64)
    numbers = (CARTPOLE.spec.action_map, n, terminated, dtype(gamma), dtype(beta))
    loss = ALGORITHMS[algo].kernel(d_outputs, outputs, bootstrap, actions, rewards, *numbers)
    return loss, d_outputs


def random_segment(algo, seed, n=5, n_actions=3, dtype=FLOAT):
    """outputs, bootstrap, actions and rewards of n steps, n + 1 rows each."""
    rng = np.random.default_rng(seed)
    width = n_actions + sum(ALGORITHMS[algo].other_heads)
    outputs, bootstrap = rng.normal(size=(2, n + 1, width)).astype(dtype)
    return outputs, bootstrap, rng.integers(n_actions, size=n + 1), rng.normal(size=n + 1).astype(dtype)


# Two steps with gamma = 0.5, r = (1, 2), actions 0, 0 and a_2 = 1. Q(s_0) = (1, 2), Q(s_1) = (3, 4);
# under theta- Q(s_1) = (2, 8), Q(s_2) = (6, 4). d is -2 (y - Q).
HAND_Q = {
    # y_0 = 1 + 0.5 * 8 = 5, y_1 = 2 + 0.5 * 6 = 5: differences 4, 2
    ("one_step_q", False): (16 + 4, [-8, -4]),
    # y_1 = 2: differences 4, -1
    ("one_step_q", True): (16 + 1, [-8, 2]),
    # y_0 = 1 + 0.5 * Q(s_1, 0) = 2, y_1 = 2 + 0.5 * Q(s_2, 1) = 4: differences 1, 1
    ("one_step_sarsa", False): (1 + 1, [-2, -2]),
    # y_1 = 2: differences 1, -1
    ("one_step_sarsa", True): (1 + 1, [-2, 2]),
    # R_2 = 6, R_1 = 2 + 3 = 5, R_0 = 1 + 2.5 = 3.5: differences 2.5, 2
    ("nstep_q", False): (6.25 + 4, [-5, -4]),
    # R_1 = 2, R_0 = 2: differences 1, -1
    ("nstep_q", True): (1 + 1, [-2, 2]),
}


@pytest.mark.parametrize(("algo", "terminated"), HAND_Q)
def test_q_methods_by_hand(algo, terminated):
    outputs, bootstrap = [[1, 2], [3, 4], [5, 6]], [[9, 9], [2, 8], [6, 4]]
    loss, d_outputs = gradient(algo, outputs, bootstrap, [0, 0, 1], [1, 2], 2, terminated)
    expected_loss, d_taken = HAND_Q[algo, terminated]
    assert loss == expected_loss
    np.testing.assert_array_equal(d_outputs[:2], [[d_taken[0], 0], [d_taken[1], 0]])


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_a3c_by_hand(beta):
    # pi(s_0) = (1/2, 1/2), V = 1; pi(s_1) = (3/4, 1/4), V = 2; actions 0 and 1; r = (1, 2), gamma = 0.5, V(s_2) = 6.
    # R_1 = 2 + 3 = 5, R_0 = 1 + 2.5 = 3.5, so the advantages are A_0 = 2.5 and A_1 = 3.
    outputs, bootstrap = [[0, 0, 1], [LN3, 0, 2], [0, 0, 0]], [[9, 9, 9], [9, 9, 9], [9, 9, 6]]
    loss, d_outputs = gradient("a3c", outputs, bootstrap, [0, 1], [1, 2], 2, beta=beta)
    entropy = LN2 + (0.75 * (2 * LN2 - LN3) + 0.25 * 2 * LN2)
    # - A_0 ln 1/2 - A_1 ln 1/4, minus the entropies, plus half the squared advantages
    np.testing.assert_allclose(loss, 2.5 * LN2 + 3 * 2 * LN2 - beta * entropy + (6.25 + 9) / 2, rtol=1e-6)
    # A (p - onehot) and -A; the entropy of the uniform s_0 has gradient 0, that of s_1 is
    # p_0 (log p_0 + H) = 3/4 (ln 3 - 3/4 ln 3) = 3/16 ln 3 and the negative of it.
    from_entropy = beta * 3 / 16 * LN3
    expected = [[-1.25, 1.25, -2.5], [2.25 + from_entropy, -2.25 - from_entropy, -3]]
    np.testing.assert_allclose(d_outputs[:2], expected, rtol=1e-6)


def test_a3c_terminal_by_hand():
    # R_1 = 2, R_0 = 2; V = (1, 3): advantages 1, -1, both policies uniform.
    loss, d_outputs = gradient("a3c", [[0, 0, 1], [0, 0, 3]], np.full((3, 3), 9), [0, 1], [1, 2], 2, terminated=True)
    np.testing.assert_allclose(loss, LN2 - LN2 + (1 + 1) / 2, rtol=1e-6)
    np.testing.assert_allclose(d_outputs, [[-0.5, 0.5, -1], [-0.5, 0.5, 1]], rtol=1e-6)


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize("algo", Q_METHODS)
def test_q_gradient_by_central_differences(algo, terminated):
    n, (outputs, *rest) = 4, random_segment(algo, 1, 4, dtype=np.float64)
    _, d_outputs = gradient(algo, outputs, *rest, n, terminated, 0.9, dtype=np.float64)
    numeric = central_differences(lambda q: gradient(algo, q, *rest, n, terminated, 0.9, dtype=np.float64)[0], outputs)
    np.testing.assert_allclose(d_outputs[:n], numeric[:n], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("terminated", [False, True])
def test_a3c_gradient_by_central_differences(terminated):
    n, beta, gamma = 4, 0.3, 0.9
    outputs, bootstrap, actions, rewards = random_segment("a3c", 2, n, dtype=np.float64)
    arguments = (bootstrap, actions, rewards, n, terminated, gamma, beta, np.float64)
    kernel_loss, d_outputs = gradient("a3c", outputs, *arguments)

    returns, R = np.zeros(n), 0.0 if terminated else bootstrap[n, -1]
    for i in reversed(range(n)):
        returns[i] = R = rewards[i] + gamma * R
    # The stop-gradient: the policy term sees the advantages of the unperturbed outputs.
    constant_advantages = returns - outputs[:n, -1]

    def loss(outputs):
        log_pi = np.log(np.exp(outputs[:n, :-1]) / np.exp(outputs[:n, :-1]).sum(1, keepdims=True))
        entropy = -(np.exp(log_pi) * log_pi).sum(1)
        policy_loss = -log_pi[np.arange(n), actions[:n]] * constant_advantages - beta * entropy
        return (policy_loss + 0.5 * (returns - outputs[:n, -1]) ** 2).sum()

    np.testing.assert_allclose(kernel_loss, loss(outputs), rtol=1e-12)
    np.testing.assert_allclose(d_outputs[:n], central_differences(loss, outputs)[:n], rtol=1e-6, atol=1e-8)


def continuous_gradient(outputs, bootstrap, actions, rewards, n, terminated, gamma, beta):
    """(loss, d_outputs) of a segment of A3C with continuous actions, in float64."""
    arrays = (np.array(a, np.float64) for a in (outputs, bootstrap, actions, rewards))
    d_outputs = np.full(np.shape(outputs), UNTOUCHED)
    numbers = (PENDULUM.spec.action_map, n, terminated, np.float64(gamma), np.float64(beta))
    loss = CONTINUOUS["a3c"].kernel(d_outputs, *arrays, *numbers)
    return loss, d_outputs


def softplus(x):
    return np.log(1 + np.exp(x)) + SMALLEST_VARIANCE


def gaussian_losses(outputs, actions, returns, advantages, beta):
    """The loss of every step, from the density itself."""
    d = actions.shape[1]
    mu, sigma2, value = outputs[:, :d], softplus(outputs[:, d]), outputs[:, d + 1]
    density = np.exp(-((actions - mu) ** 2).sum(1) / (2 * sigma2)) / (2 * np.pi * sigma2) ** (d / 2)
    entropy = d / 2 * np.log(2 * np.pi * np.e * sigma2)
    return -np.log(density) * advantages - beta * entropy + 0.5 * (returns - value) ** 2


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("terminated", [False, True])
def test_continuous_a3c_gradient_by_central_differences(terminated, d):
    n, beta, gamma, rng = 4, 0.3, 0.9, np.random.default_rng(3)
    outputs, bootstrap = rng.normal(size=(2, n + 1, d + 2))
    actions, rewards = rng.normal(size=(n + 1, d)), rng.normal(size=n + 1)
    kernel_loss, d_outputs = continuous_gradient(outputs, bootstrap, actions, rewards, n, terminated, gamma, beta)

    returns, R = np.zeros(n), 0.0 if terminated else bootstrap[n, -1]
    for i in reversed(range(n)):
        returns[i] = R = rewards[i] + gamma * R
    advantages = returns - outputs[:n, -1]  # constant: no gradient through V in the policy term

    def loss(outputs):
        return gaussian_losses(outputs[:n], actions[:n], returns, advantages, beta).sum()

    np.testing.assert_allclose(kernel_loss, loss(outputs), rtol=1e-7)
    np.testing.assert_allclose(d_outputs[:n], central_differences(loss, outputs)[:n], rtol=1e-6, atol=1e-8)
    assert (d_outputs[n:] == UNTOUCHED).all()


def test_continuous_a3c_by_hand():
    # One action a = 3 with mu = 1 and sigma^2 = 4 (softplus of ln(e^4 - 1)), R = r = 2, V = 1: A = 1. log pi is
    # - 4/8 - 1/2 ln(8 pi).
    x = np.log(np.exp(4 - np.float64(SMALLEST_VARIANCE)) - 1)
    loss, d_outputs = continuous_gradient([[1, x, 1]], np.zeros((2, 3)), [[3]], [2], 1, True, 0.5, 0.0)
    np.testing.assert_allclose(loss, 0.5 + 0.5 * np.log(8 * np.pi) + 0.5, rtol=1e-6)
    # - A (a - mu) / sigma^2; A (1 - 4/4) = 0: the distance is what the variance expects; - (R - V).
    np.testing.assert_allclose(d_outputs, [[-0.5, 0, -1]], atol=1e-7)


@pytest.mark.parametrize("x", [-1e4, 1e4])
def test_continuous_a3c_is_finite_for_an_extreme_variance(x):
    loss, d_outputs = continuous_gradient([[0, x, 1]], np.zeros((2, 3)), [[0.01]], [2], 1, True, 0.5, 0.01)
    assert np.isfinite(loss) and np.isfinite(d_outputs).all()


def reference_of(algo, outputs, bootstrap, actions, rewards, n, terminated, gamma, beta):
    """What `gradient` returns of the kernel, computed by nn/reference.py, without the rows that are not written."""
    outputs, rewards, values = outputs[:n], rewards[:n], bootstrap[:, -1]
    if algo == "a3c":
        loss = reference.a3c_continuous if actions.ndim == 2 else reference.a3c
        return loss(outputs, actions[:n], reference.returns(rewards, 0 if terminated else values[n], gamma), beta)
    if algo == "nstep_q":
        return reference.nstep_q(outputs, bootstrap[n], actions[:n], rewards, terminated, gamma)
    if algo == "one_step_q":
        return reference.one_step_q(outputs, bootstrap[1 : n + 1], actions[:n], rewards, terminated, gamma)
    return reference.one_step_sarsa(outputs, bootstrap[1 : n + 1], actions[: n + 1], rewards, terminated, gamma)


@pytest.mark.parametrize("dtype", [FLOAT, np.float64])
@pytest.mark.parametrize("terminated", [False, True])
@every_algorithm
def test_random_segments_match_the_reference(algo, terminated, dtype):
    rtol = 1e-4 if dtype == FLOAT else 1e-12
    for seed, n in enumerate([1, 2, 5, 20]):
        segment = random_segment(algo, seed, n, n_actions=2 + seed, dtype=dtype)
        loss, d_outputs = gradient(algo, *segment, n, terminated, 0.95, beta=0.02, dtype=dtype)
        exact = [array.astype(np.float64) for array in segment[:2]]
        expected = reference_of(algo, *exact, *segment[2:], n, terminated, 0.95, 0.02)
        np.testing.assert_allclose(loss, expected[0], rtol=rtol)
        np.testing.assert_allclose(d_outputs[:n], expected[1], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize("d", [1, 4])
def test_random_segments_with_continuous_actions_match_the_reference(terminated, d):
    rng = np.random.default_rng(d)
    for n in (1, 2, 5, 20):
        outputs, bootstrap = rng.normal(size=(2, n + 1, d + 2))
        segment = outputs, bootstrap, rng.normal(size=(n + 1, d)), rng.normal(size=n + 1)
        loss, d_outputs = continuous_gradient(*segment, n, terminated, 0.95, 0.02)
        expected = reference_of("a3c", *segment, n, terminated, 0.95, 0.02)
        np.testing.assert_allclose(loss, expected[0], rtol=1e-6)  # the kernel's 2 pi is a float32
        np.testing.assert_allclose(d_outputs[:n], expected[1], rtol=1e-12, atol=1e-12)


def test_which_algorithms_have_continuous_actions():
    assert algorithm_for("a3c", PENDULUM.spec) is CONTINUOUS["a3c"]
    for name, algorithm in ALGORITHMS.items():
        assert algorithm_for(name, CARTPOLE.spec) is algorithm
    for name in Q_METHODS:
        with pytest.raises(InputError, match=f"Pendulum-v1 has continuous actions, and {name} needs .* choose a3c.$"):
            algorithm_for(name, PENDULUM.spec)


@pytest.mark.parametrize("terminated", [False, True])
def test_nstep_of_one_step_is_one_step_q(terminated):
    segment = random_segment("nstep_q", 3)
    one_step, nstep = (gradient(algo, *segment, 1, terminated) for algo in ("one_step_q", "nstep_q"))
    assert one_step[0] == nstep[0]
    np.testing.assert_array_equal(one_step[1], nstep[1])


@pytest.mark.parametrize("terminated", [False, True])
def test_sarsa_with_greedy_actions_is_one_step_q(terminated):
    outputs, bootstrap, _, rewards = random_segment("one_step_sarsa", 4)
    argmax = bootstrap.argmax(1)
    q, sarsa = (
        gradient(algo, outputs, bootstrap, argmax, rewards, 5, terminated) for algo in ("one_step_q", "one_step_sarsa")
    )
    assert q[0] == sarsa[0]
    np.testing.assert_array_equal(q[1], sarsa[1])


@every_algorithm
def test_terminal_drops_the_bootstrap_and_another_end_keeps_it(algo):
    outputs, bootstrap, actions, rewards = random_segment(algo, 5)
    higher = bootstrap.copy()
    higher[5] += 1
    for terminated in (True, False):
        low, high = (gradient(algo, outputs, b, actions, rewards, 5, terminated)[1] for b in (bootstrap, higher))
        assert np.array_equal(low, high) == terminated


@every_algorithm
def test_a_terminal_segment_reads_neither_the_last_row_nor_beyond(algo):
    outputs, bootstrap, actions, rewards = random_segment(algo, 6)
    expected = gradient(algo, outputs, bootstrap, actions, rewards, 5, True)
    outputs[5] = bootstrap[5] = rewards[5] = np.nan
    loss, d_outputs = gradient(algo, outputs, bootstrap, actions, rewards, 5, True)
    assert loss == expected[0] and np.isfinite(d_outputs).all()
    np.testing.assert_array_equal(d_outputs, expected[1])


@every_algorithm
def test_only_the_documented_rows_are_read_and_written(algo):
    outputs, bootstrap, actions, rewards = random_segment(algo, 7)
    expected = gradient(algo, outputs, bootstrap, actions, rewards, 3)
    outputs[3:] = rewards[3:] = np.nan
    bootstrap[4:] = bootstrap[: 1 if ALGORITHMS[algo].one_step else 3] = np.nan
    loss, d_outputs = gradient(algo, outputs, bootstrap, actions, rewards, 3)
    assert loss == expected[0] and np.isfinite(loss)
    np.testing.assert_array_equal(d_outputs, expected[1])
    assert (d_outputs[3:] == UNTOUCHED).all() and (d_outputs[:3] != UNTOUCHED).all()


@every_algorithm
def test_a_segment_is_a_sum_not_a_mean(algo):
    # r = 1, gamma = 0.5 and a bootstrap of 2 give a return of 2 at every step, so that both steps are the same.
    width = 2 + sum(ALGORITHMS[algo].other_heads)
    outputs, bootstrap = np.tile(np.linspace(0.1, 0.4, width), (3, 1)), np.full((3, width), 2.0)
    one = gradient(algo, outputs, bootstrap, [1, 1, 1], [1, 1, 1], 1, beta=0.1)
    two = gradient(algo, outputs, bootstrap, [1, 1, 1], [1, 1, 1], 2, beta=0.1)
    np.testing.assert_allclose(two[0], 2 * one[0], rtol=1e-6)
    np.testing.assert_array_equal(two[1][:2], one[1][[0, 0]])


def test_entropy_is_finite_for_extreme_logits():
    # pi = (1, 0, 0) exactly in float32; the action has log probability -1e4 or -2e4, R = r = 2, V = 1: A = 1.
    outputs = [[1e4, 0, -1e4, 1]]
    for action, log_pi in ((1, -1e4), (2, -2e4)):
        loss, d_outputs = gradient("a3c", outputs, np.zeros((2, 4)), [action], [2], 1, terminated=True, beta=0.01)
        np.testing.assert_allclose(loss, -log_pi + 0.5, rtol=1e-6)
        expected = np.array([1.0, 0, 0, -1])
        expected[action] = -1
        np.testing.assert_allclose(d_outputs, [expected], atol=1e-6)


@every_algorithm
def test_float32_segments_stay_float32(algo):
    # A float64 literal in a kernel would make the loss a float64, and the loop slower.
    outputs, bootstrap, actions, rewards = random_segment(algo, 8)
    low, exact = (
        gradient(algo, outputs, bootstrap, actions, rewards, 5, dtype=dtype, beta=0.01)[0]
        for dtype in (FLOAT, np.float64)
    )
    assert low == FLOAT(low) and low != exact
    np.testing.assert_allclose(low, exact, rtol=1e-5)
