"""The mathematics in plain NumPy: every gradient against central differences in float64, and examples by hand."""

import itertools

import numpy as np
import pytest
from support.networks import NETWORKS
from support.numerics import central_differences, drawer, slope

from numasync.algorithms import policy
from numasync.nn import reference
from numasync.nn.layers import KINDS
from numasync.nn.table import IN_AT, OUT_AT

CLOSE = dict(rtol=1e-6, atol=1e-8)
terminations = pytest.mark.parametrize("terminated", [False, True])


def check_gradients(function, arguments, dy, gradients):
    """d(sum of dy y) by every argument of y = function(*arguments), element by element."""
    for i, gradient in enumerate(gradients):

        def projected(a):
            return np.sum(function(*arguments[:i], a, *arguments[i + 1 :]) * dy)

        np.testing.assert_allclose(gradient, central_differences(projected, arguments[i]), **CLOSE)


def test_dense():
    draw = drawer(np.float64)
    x, weight, bias, dy = draw(3, 4), draw(4, 2), draw(2), draw(3, 2)
    y = [[bias[u] + sum(x[r, i] * weight[i, u] for i in range(4)) for u in range(2)] for r in range(3)]
    np.testing.assert_allclose(reference.dense(x, weight, bias), y)
    check_gradients(reference.dense, (x, weight, bias), dy, reference.dense_backward(dy, x, weight))


def test_relu():
    x, dy = drawer(np.float64)(3, 5), drawer(np.float64, 2)(3, 5)
    assert np.abs(x).min() > 1e-3, "an element would cross the kink"
    y = reference.relu(x)
    np.testing.assert_array_equal(y, np.where(x > 0, x, 0))
    check_gradients(reference.relu, (x,), dy, [reference.relu_backward(dy, y)])


@pytest.mark.parametrize(
    "image, size, stride", [((5, 6, 2), 3, 1), ((5, 7, 2), 2, 2), ((4, 4, 1), 4, 3), ((5, 5, 1), 1, 3)]
)
def test_conv(image, size, stride):
    draw = drawer(np.float64)
    x, weight, bias = draw(2, *image), draw(size, size, image[2], 3), draw(3)
    y = reference.conv(x, weight, bias, stride)
    expected = np.empty((2, *((n - size) // stride + 1 for n in image[:2]), 3))
    for r, oy, ox, f in np.ndindex(expected.shape):
        terms = itertools.product(range(size), range(size), range(image[2]))
        products = (x[r, oy * stride + ky, ox * stride + kx, c] * weight[ky, kx, c, f] for ky, kx, c in terms)
        expected[r, oy, ox, f] = bias[f] + sum(products)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    dy = draw(*y.shape)
    gradients = reference.conv_backward(dy, x, weight, stride)
    check_gradients(lambda *given: reference.conv(*given, stride), (x, weight, bias), dy, gradients)


@pytest.mark.parametrize("begins", [(), (0,), (2,), (1, 3)])
def test_lstm(begins):
    draw = drawer(np.float64)
    x, weight, bias, dy = draw(4, 3), draw(3 + 2, 4 * 2), draw(4 * 2), draw(4, 2)
    state = np.tanh(draw(2, 2))
    _, states, gates = reference.lstm(x, weight, bias, begins, state)
    gradients = reference.lstm_backward(dy, x, states, gates, weight, begins)
    check_gradients(lambda *given: reference.lstm(*given, begins, state)[0], (x, weight, bias), dy, gradients)


def test_an_lstm_cell_by_hand():
    # No weights but biases: i = 1/2, f = 3/4, o = 1/4, u = 3/5; from c = 4/5, c' = 3/5 + 3/10 = 9/10.
    bias = np.array([0, np.log(3), -np.log(3), np.arctanh(0.6)])
    h, c, gates = reference.lstm_cell(np.ones(1), np.array([0.5]), np.array([0.8]), np.zeros((2, 4)), bias)
    np.testing.assert_allclose(gates.ravel(), [0.5, 0.75, 0.25, 0.6])
    np.testing.assert_allclose([h, c], [[0.25 * np.tanh(0.9)], [0.9]])


def test_an_lstm_remembers_one_episode():
    draw = drawer(np.float64)
    x, weight, bias = draw(5, 3), draw(3 + 2, 4 * 2), draw(4 * 2)
    whole, *_ = reference.lstm(x, weight, bias, begins=[2])
    np.testing.assert_array_equal(whole[:2], reference.lstm(x[:2], weight, bias)[0])
    np.testing.assert_array_equal(whole[2:], reference.lstm(x[2:], weight, bias)[0])
    assert not np.allclose(whole, reference.lstm(x, weight, bias)[0])


def test_concat():
    draw = drawer(np.float64)
    first, second, dy = draw(3, 2), draw(3, 4), draw(3, 6)
    assert reference.concat(first, second).shape == (3, 6)
    check_gradients(reference.concat, (first, second), dy, reference.concat_backward(dy, 2))


@pytest.mark.parametrize("name", ["linear", "mlp", "small", "lstm", "conv and lstm", "towers"])
def test_a_whole_network(name):
    net, draw = NETWORKS[name], drawer(np.float64)
    theta, obs, dout = net.initial(1).astype(np.float64), draw(3, net.n_inputs), draw(3, net.n_outputs)
    outputs = reference.network_forward(obs, theta, net, begins=[2])
    assert len(outputs) == len(net.names) and outputs[-1].shape == dout.shape
    grad = reference.network_backward(dout, outputs, obs, theta, net, begins=[2])

    def projected(theta):
        return np.sum(reference.network_forward(obs, theta, net, begins=[2])[-1] * dout)

    for parameter, view in net.views(grad).items():
        direction = np.zeros_like(theta)
        net.views(direction)[parameter][:] = draw(*view.shape)
        expected = slope(projected, theta, direction, 1e-7)
        assert grad @ direction == pytest.approx(expected, rel=1e-5), parameter


@pytest.mark.parametrize("name", ["lstm", "conv and lstm", "towers", "normalized towers"])
def test_a_network_goes_on_from_the_states_of_the_rows_before(name):
    net, draw = NETWORKS[name], drawer(np.float64)
    theta, obs = net.initial(1).astype(np.float64), draw(5, net.n_inputs)
    whole = reference.network_forward(obs, theta, net)
    before = {i: whole[i][2] for i, kind in enumerate(net.kinds) if kind == "lstm"}
    # h after the third row is what the layer returned there; c is found by playing the layer alone.
    states = [np.array([h, cell_after(net, theta, obs, i)]) for i, h in before.items()]
    rest = reference.network_forward(obs[3:], theta, net, states=states)
    np.testing.assert_allclose(rest[-1], whole[-1][3:], rtol=1e-12)
    dout = draw(2, net.n_outputs)
    grad = reference.network_backward(dout, rest, obs[3:], theta, net, states=states)

    def projected(theta):
        return np.sum(reference.network_forward(obs[3:], theta, net, states=states)[-1] * dout)

    for parameter, view in net.views(grad).items():
        if not parameter.startswith("normalize"):
            direction = np.zeros_like(theta)
            net.views(direction)[parameter][:] = draw(*view.shape)
            assert grad @ direction == pytest.approx(slope(projected, theta, direction, 1e-7), rel=1e-5), parameter


def cell_after(net, theta, obs, i):
    """The cell of the LSTM in row i of the network after three rows."""
    inputs = net.rows[i][IN_AT]
    below = [row[OUT_AT] for row in net.rows]
    outputs = reference.network_forward(obs, theta, net)
    x = obs if inputs < 0 else outputs[max(j for j in range(i) if below[j] == inputs)]
    views, (h, c) = net.views(theta), np.zeros((2, outputs[i].shape[1]))
    for t in range(3):
        weight, bias = (views[f"{net.names[i]}.{part}"] for part in ("weight", "bias"))
        h, c, _ = reference.lstm_cell(x[t].ravel(), h, c, weight, bias)
    return c


def test_every_kind_of_layer_is_in_a_network_that_the_tests_compare():
    assert {kind for net in NETWORKS.values() for kind in net.kinds} == KINDS.keys()


def test_softmax_and_entropy():
    logits = np.log([[1, 1, 2], [1, 2, 5]])
    p = np.array([[0.25, 0.25, 0.5], [0.125, 0.25, 0.625]])
    np.testing.assert_allclose(reference.softmax(logits), p)
    np.testing.assert_allclose(reference.log_softmax(logits), np.log(p))
    np.testing.assert_allclose(reference.entropy(logits), [1.5 * np.log(2), -(p[1] * np.log(p[1])).sum()])
    np.testing.assert_allclose(reference.softmax(logits + 1e4), p)
    # The derivative of log p_a is [j = a] - p_j, and of H is - p_j (log p_j + H).
    for a in range(3):
        gradient = central_differences(lambda z: reference.log_softmax(z)[a], logits[1])
        np.testing.assert_allclose(gradient, np.eye(3)[a] - p[1], **CLOSE)
    expected = -p[1] * (np.log(p[1]) + reference.entropy(logits[1]))
    np.testing.assert_allclose(central_differences(reference.entropy, logits[1]), expected, **CLOSE)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy(epsilon):
    others = epsilon / 4
    expected = [others, 1 - 3 * others, others, others]
    np.testing.assert_allclose(reference.epsilon_greedy(np.array([0, 2, 1, 2.0]), epsilon), expected)


@pytest.mark.parametrize("d", [1, 2])
def test_the_gaussian_policy(d):
    # Density and entropy are what sums over a fine grid say: integral of pi = 1, integral of - pi log pi = H.
    grid = np.linspace(-12, 14, 521)
    cell = (grid[1] - grid[0]) ** d
    actions = np.stack(np.meshgrid(*[grid] * d), axis=-1).reshape(-1, d)
    mu, sigma2 = np.linspace(1, -1, d), np.array(2.25)
    log_pi = reference.gaussian_log_density(actions, mu, sigma2)
    assert (np.exp(log_pi) * cell).sum() == pytest.approx(1, rel=1e-9)
    assert -(np.exp(log_pi) * log_pi * cell).sum() == pytest.approx(reference.gaussian_entropy(sigma2, d), rel=1e-9)


def test_the_variance_of_the_gaussian_policy():
    assert reference.SMALLEST_VARIANCE == policy.SMALLEST_VARIANCE
    x = np.array([-800.0, np.log(np.e - 1), 800.0])
    np.testing.assert_allclose(reference.gaussian_variance(x) - reference.SMALLEST_VARIANCE, [0, 1, 800], atol=1e-12)


def test_returns_by_hand():
    rewards = np.array([1.0, 2, 3])
    np.testing.assert_array_equal(reference.returns(rewards, 8, 0.5), [1 + 0.5 * (2 + 0.5 * 7), 2 + 0.5 * 7, 7])
    np.testing.assert_array_equal(reference.returns(rewards, 0, 0.5), [2.75, 3.5, 3])
    values = np.array([4.0, 6, 8])
    np.testing.assert_array_equal(reference.one_step_targets(rewards, values, False, 0.5), [3, 5, 7])
    np.testing.assert_array_equal(reference.one_step_targets(rewards, values, True, 0.5), [3, 5, 3])


Q_LOSSES = {
    "one_step_q": lambda q, next_q, actions, *rest: reference.one_step_q(q, next_q, actions[:-1], *rest),
    "one_step_sarsa": reference.one_step_sarsa,
    "nstep_q": lambda q, next_q, actions, *rest: reference.nstep_q(q, next_q[-1], actions[:-1], *rest),
}


@terminations
@pytest.mark.parametrize("name", Q_LOSSES)
def test_q_losses(name, terminated):
    draw, n = drawer(np.float64), 4
    q, next_q, rewards, actions = draw(n, 3), draw(n, 3), draw(n), np.array([2, 0, 1, 1, 0])
    before = q.copy(), next_q.copy(), rewards.copy()

    def loss_and_gradient(q):
        return Q_LOSSES[name](q, next_q, actions, rewards, terminated, 0.9)

    _, gradient = loss_and_gradient(q)
    np.testing.assert_allclose(gradient, central_differences(lambda q: loss_and_gradient(q)[0], q), **CLOSE)
    assert np.count_nonzero(gradient) == n and all(gradient[range(n), actions[:n]])
    for array, kept in zip((q, next_q, rewards), before):
        np.testing.assert_array_equal(array, kept)


@terminations
def test_the_loss_of_a3c(terminated):
    draw, n, beta = drawer(np.float64), 4, 0.3
    outputs, rewards, actions = draw(n, 4), draw(n), np.array([2, 0, 1, 1])
    R = reference.returns(rewards, 0 if terminated else 1.7, 0.9)
    loss, gradient = reference.a3c(outputs, actions, R, beta)
    advantages = R - outputs[:, -1]  # a constant: the policy term has no gradient through V

    def from_probabilities(outputs):
        p = np.exp(outputs[:, :-1]) / np.exp(outputs[:, :-1]).sum(axis=1, keepdims=True)
        policy_loss = -np.log(p[range(n), actions]) * advantages + beta * (p * np.log(p)).sum(axis=1)
        return (policy_loss + (R - outputs[:, -1]) ** 2 / 2).sum()

    assert loss == pytest.approx(from_probabilities(outputs), rel=1e-12)
    np.testing.assert_allclose(gradient, central_differences(from_probabilities, outputs), **CLOSE)


def test_the_loss_of_a3c_with_several_integers():
    draw, n, beta, nvec = drawer(np.float64), 4, 0.3, (3, 1, 2)
    outputs, R, actions = draw(n, 7), draw(n), np.array([[2, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 1]])
    loss, gradient = reference.a3c_multi_discrete(outputs, nvec, actions, R, beta)
    advantages = R - outputs[:, -1]  # a constant: the policy term has no gradient through V

    def from_probabilities(outputs):
        # The probability of every combination of integers, as of a policy with one softmax.
        first, second = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (outputs[:, :3], outputs[:, 4:6]))
        p = (first[:, :, None] * second[:, None, :]).reshape(n, 6)
        policy_loss = -np.log(p[range(n), 2 * actions[:, 0] + actions[:, 2]]) * advantages
        return (policy_loss + beta * (p * np.log(p)).sum(axis=1) + (R - outputs[:, -1]) ** 2 / 2).sum()

    assert loss == pytest.approx(from_probabilities(outputs), rel=1e-12)
    np.testing.assert_allclose(gradient, central_differences(from_probabilities, outputs), **CLOSE)


@terminations
@pytest.mark.parametrize("d", [1, 3])
def test_the_loss_of_a3c_with_continuous_actions(terminated, d):
    draw, n, beta = drawer(np.float64), 4, 0.3
    outputs, rewards, actions = draw(n, d + 2), draw(n), draw(n, d)
    R = reference.returns(rewards, 0 if terminated else 1.7, 0.9)
    loss, gradient = reference.a3c_continuous(outputs, actions, R, beta)
    advantages = R - outputs[:, -1]

    def from_densities(outputs):
        mu, sigma2, value = outputs[:, :d], np.log(1 + np.exp(outputs[:, d])) + 1e-4, outputs[:, -1]
        density = np.exp(-((actions - mu) ** 2).sum(axis=1) / (2 * sigma2)) / (2 * np.pi * sigma2) ** (d / 2)
        entropy = d / 2 * np.log(2 * np.pi * np.e * sigma2)
        return (-np.log(density) * advantages - beta * entropy + (R - value) ** 2 / 2).sum()

    assert loss == pytest.approx(from_densities(outputs), rel=1e-7)
    np.testing.assert_allclose(gradient, central_differences(from_densities, outputs), **CLOSE)


def test_optimisers_by_hand():
    theta, grad = np.array([1.0]), np.array([4.0])
    # d = 0.5 * 4 = 2: m = 0.75 * 8 + 0.25 * 2 = 6.5, theta = 1 - 0.1 * 6.5
    assert reference.momentum_sgd(theta, grad, np.array([8.0]), 0.1, 0.75, 0.5) == (pytest.approx(0.35), 6.5)
    # g = 0.75 * 8 + 0.25 * 4 = 7, theta = 1 - 0.1 * 2 / sqrt(7 + 2)
    assert reference.rmsprop(theta, grad, np.array([8.0]), 0.1, 0.75, 2, 0.5) == (pytest.approx(1 - 0.2 / 3), 7)


@pytest.mark.parametrize("clip_norm, expected", [(1, 0.2), (2.5, 0.5), (5, 1), (10, 1), (0, 1)])
def test_clip_scale_by_hand(clip_norm, expected):
    assert reference.clip_scale(np.array([3.0, 0, -4]), clip_norm) == expected


def everything(dtype):
    """A result of every function with arrays of one dtype."""
    draw = drawer(dtype)
    x, weight, bias, actions, rewards = draw(3, 5), draw(5 + 2, 8), draw(8), np.array([1, 0, 2]), draw(3)
    yield reference.dense(draw(3, 7), weight, bias)
    yield from reference.dense_backward(draw(3, 8), draw(3, 7), weight)
    yield reference.relu(x)
    yield reference.relu_backward(x, x)
    yield reference.conv(draw(1, 4, 4, 2), draw(3, 3, 2, 5), draw(5), 1)
    yield from reference.conv_backward(draw(1, 2, 2, 5), draw(1, 4, 4, 2), draw(3, 3, 2, 5), 1)
    y, states, gates = reference.lstm(x, weight, bias)
    yield from (y, states, gates, *reference.lstm_backward(y, x, states, gates, weight, [1]))
    for function in (reference.softmax, reference.log_softmax, reference.entropy, reference.gaussian_variance):
        yield function(x)
    yield reference.epsilon_greedy(x[0], 0.1)
    yield reference.gaussian_log_density(x, x, np.exp(rewards))
    yield reference.gaussian_entropy(np.exp(rewards), 5)
    yield reference.one_step_q(x, x, actions, rewards, True, 0.9)[1]
    yield reference.one_step_sarsa(x, x, np.array([1, 0, 2, 4]), rewards, False, 0.9)[1]
    yield reference.nstep_q(x, x[0], actions, rewards, True, 0.9)[1]
    yield reference.a3c(x, actions, rewards, 0.1)[1]
    yield reference.a3c_multi_discrete(x, (2, 2), np.array([[1, 0], [0, 0], [1, 1]]), rewards, 0.1)[1]
    yield reference.a3c_continuous(x, draw(3, 3), rewards, 0.1)[1]
    yield from reference.momentum_sgd(rewards, rewards, rewards, 0.1, 0.9, 1.0)
    yield from reference.rmsprop(rewards, rewards, rewards**2, 0.1, 0.9, 0.1, 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_arrays(dtype):
    assert {result.dtype for result in everything(dtype)} == {np.dtype(dtype)}
