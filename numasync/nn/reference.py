"""The mathematics of the package in plain NumPy. Read this first.

Every layer, policy, loss and optimiser stands here as its equation, and below it the lines that compute it. The
compiled kernels compute the same: the tests compare them. Functions change no argument, and take float32 or float64.

`d` + name is the gradient of a loss by name: dx is d(loss)/d(x). A backward gets dy, the gradient of its outputs, and
returns the gradients of its inputs and parameters. x has one row for each step: (rows, inputs).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from numasync.nn.network import Network
from numasync.nn.spec import Layer

# Added to the variance of a Gaussian policy, because at 0 its density is infinite.
SMALLEST_VARIANCE = np.float32(1e-4)
Array = np.ndarray
Arrays = tuple[Array, ...]
Gradients = tuple[Array, Array, Array]  # dx, dweight, dbias
Loss = tuple[float, Array]  # the loss of a segment, and its gradient by the network's outputs
Updated = tuple[Array, Array]  # theta and the optimiser's state
Begins = Collection[int]  # the rows where an episode begins
States = Iterable[Array]  # of the LSTM layers: h and c before row 0, (2, units) each; none for zeros


# --- Layers ---
def dense(x: Array, weight: Array, bias: Array) -> Array:
    """y = x W + b. x: (rows, inputs); weight: (inputs, units); bias: (units,). The heads are a dense layer too."""
    return x @ weight + bias


def dense_backward(dy: Array, x: Array, weight: Array) -> Gradients:
    """dx = dy W^T,  dW = x^T dy,  db = sum of dy over the rows."""
    dx = dy @ weight.T
    dweight = x.T @ dy
    dbias = dy.sum(axis=0)
    return dx, dweight, dbias


def relu(x: Array) -> Array:
    """y = max(x, 0)."""
    return np.maximum(x, 0)


def relu_backward(dy: Array, y: Array) -> Array:
    """dx = dy where y > 0, else 0."""
    return np.where(y > 0, dy, 0)


def patches(x: Array, kernel_size: int, stride: int) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """Yield (oy, ox, index) for each output position of a convolution. x[index] is its patch of every image."""
    for oy in range((x.shape[1] - kernel_size) // stride + 1):
        for ox in range((x.shape[2] - kernel_size) // stride + 1):
            top, left = oy * stride, ox * stride
            yield oy, ox, np.s_[:, top : top + kernel_size, left : left + kernel_size, :]


def conv(x: Array, weight: Array, bias: Array, stride: int) -> Array:
    """y[oy, ox, f] = b[f] + sum over (ky, kx, c) of x[oy stride + ky, ox stride + kx, c] W[ky, kx, c, f].

    x: (rows, height, width, channels); weight: (kernel_size, kernel_size, channels, filters); bias: (filters,).
    y: (rows, out_height, out_width, filters). There is no padding.
    """
    out_height, out_width = ((n - len(weight)) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((len(x), out_height, out_width, bias.size), x.dtype)
    for oy, ox, patch in patches(x, len(weight), stride):
        y[:, oy, ox] = np.einsum("ryxc,yxcf->rf", x[patch], weight) + bias
    return y


def conv_backward(dy: Array, x: Array, weight: Array, stride: int) -> Gradients:
    """dx, dW and db: the sums over all patches of what the dense layer has for one patch."""
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for oy, ox, patch in patches(x, len(weight), stride):
        dx[patch] += np.einsum("rf,yxcf->ryxc", dy[:, oy, ox], weight)
        dweight += np.einsum("ryxc,rf->yxcf", x[patch], dy[:, oy, ox])
    return dx, dweight, dy.sum(axis=(0, 1, 2))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def lstm_cell(x: Array, h: Array, c: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """One step. i, f, o = sigmoid((x, h) W + b),  u = tanh((x, h) W + b),  c' = f c + i u,  h' = o tanh(c').

    x: (inputs,); h, c: (units,). weight: (inputs + units, 4 units), bias: (4 units,), columns in the order i, f, o, u.
    Return h', c' and the gates i, f, o, u: (4, units).
    """
    sums = np.split(np.concatenate([x, h]) @ weight + bias, 4)
    i, f, o, u = *map(sigmoid, sums[:3]), np.tanh(sums[3])
    c_next = f * c + i * u
    return o * np.tanh(c_next), c_next, np.array([i, f, o, u])


def lstm_cell_backward(dh: Array, dc: Array, c: Array, gates: Array) -> tuple[Array, Array]:
    """The gradient of a step's sums (x, h) W + b, (4 units,), and of c. dh, dc: of h' and c'.

    With dc <- dc + dh o (1 - tanh(c')^2), sigmoid' = s (1 - s) and tanh' = 1 - tanh^2:
    di = dc u i (1 - i),  df = dc c f (1 - f),  do = dh tanh(c') o (1 - o),  du = dc i (1 - u^2),  dc_before = dc f.
    """
    i, f, o, u = gates
    tanh_c = np.tanh(f * c + i * u)
    dc = dc + dh * o * (1 - tanh_c**2)
    di, df = dc * u * i * (1 - i), dc * c * f * (1 - f)
    do, du = dh * tanh_c * o * (1 - o), dc * i * (1 - u**2)
    return np.concatenate([di, df, do, du]), dc * f


def lstm(x: Array, weight: Array, bias: Array, begins: Begins = (), state: Array | None = None) -> Arrays:
    """Steps 0, 1, ... of `lstm_cell`. h and c are 0 where an episode begins.

    begins: the rows where one does. state: h and c before row 0, (2, units); None for zeros.
    Return y, the h of all steps, (rows, units), the states before each, (rows, 2, units), the gates, (rows, 4, units).
    """
    zeros = np.zeros((2, bias.size // 4), x.dtype)
    (h, c), y, states, gates = zeros if state is None else state, [], [], []
    for t in range(len(x)):
        h, c = zeros if t in begins else (h, c)
        states.append((h, c))
        h, c, gates_t = lstm_cell(x[t], h, c, weight, bias)
        y.append(h)
        gates.append(gates_t)
    return np.array(y), np.array(states), np.array(gates)


def lstm_backward(dy: Array, x: Array, states: Array, gates: Array, weight: Array, begins: Begins = ()) -> Gradients:
    """From the last step to the first: dh_t = dy_t + dsums_{t+1} W_h^T, dc_t from step t + 1. Then a dense layer.

    W_h are the rows of W that meet h. Nothing flows back over the begin of an episode, or out of row 0.
    """
    dsums, inputs = np.zeros((len(x), weight.shape[1]), x.dtype), x.shape[1]
    dh = dc = np.zeros_like(dy[0])
    for t in reversed(range(len(x))):
        dsums[t], dc = lstm_cell_backward(dy[t] + dh, dc, states[t, 1], gates[t])
        dh, dc = (dsums[t] @ weight[inputs:].T, dc) if t not in begins else (0 * dh, 0 * dc)
    dboth, dweight, dbias = dense_backward(dsums, np.hstack([x, states[:, 0]]), weight)
    return dboth[:, :inputs], dweight, dbias


def concat(first: Array, second: Array) -> Array:
    """y = (first, second), side by side."""
    return np.hstack([first, second])


def concat_backward(dy: Array, columns: int) -> tuple[Array, Array]:
    """dfirst, dsecond = the columns of dy. columns: how many the first has."""
    return dy[:, :columns], dy[:, columns:]


def normalize(x: Array, moments: Array) -> Array:
    """y = clip((x - mean) / deviation, -10, 10). moments: the mean and the deviation of each number, (2, inputs)."""
    return np.clip((x - moments[0]) / moments[1], -10, 10)


# --- Network ---
def layer_forward(x: Array, layer: Layer, parameters: Arrays, begins: Begins = ()) -> Array:
    """y of one layer. parameters: of `parameters_of`. dense and lstm flatten an image."""
    if layer.kind == "relu":
        return relu(x)
    weight, bias, *state = parameters
    if layer.kind == "conv":
        return conv(x, weight, bias, layer.sizes[2])
    x = x.reshape(len(x), -1)
    if layer.kind == "lstm":
        return lstm(x, weight, bias, begins, *state)[0]
    return dense(x, weight, bias)


def layer_backward(dy: Array, x: Array, y: Array, layer: Layer, parameters: Arrays, begins: Begins = ()) -> Arrays:
    """dx, dweight and dbias of one layer; dx alone for a relu. x, y: the inputs and outputs of `layer_forward`."""
    if layer.kind == "relu":
        return (relu_backward(dy, y),)
    weight, bias, *state = parameters
    if layer.kind == "conv":
        return conv_backward(dy, x, weight, layer.sizes[2])
    x = x.reshape(len(x), -1)
    if layer.kind == "lstm":
        _, states, gates = lstm(x, weight, bias, begins, *state)
        return lstm_backward(dy, x, states, gates, weight, begins)
    return dense_backward(dy, x, weight)


def parameters_of(theta: Array, net: Network, states: States = ()) -> list[Arrays]:
    """(weight, bias) of every layer, or () for a layer without parameters; behind them the next state, for an LSTM."""
    views, own = net.views(theta), iter(states)
    pairs = [[views[key] for key in (f"{name}.weight", f"{name}.bias") if key in views] for name in net.names]
    return [(*pair, *islice(own, int(kind == "lstm"))) for pair, kind in zip(pairs, net.kinds)]


def behind_normalize(theta: Array, net: Network) -> tuple[Array, Network]:
    """A network behind the layer that normalises its inputs, with its part of theta. Three rows come before it."""
    return theta[3 * net.n_inputs :], type(net)(net.input_shape, net.layers)


def towers_of(theta: Array, net: Network) -> list[tuple[Array, Network]]:
    """The two towers of a network as two networks, each with its part of theta."""
    first, second = (type(net)(net.input_shape, layers) for layers in net.layers[0].sizes)
    return [(theta[: first.n_parameters], first), (theta[first.n_parameters :], second)]


def network_forward(obs: Array, theta: Array, net: Network, begins: Begins = (), states: States = ()) -> list[Array]:
    """The outputs of every layer. A layer reads the outputs of the layer before it. The last ones are the network's.

    obs: (rows, inputs). theta: (n_parameters,). begins: the rows where an episode begins, for an LSTM.
    """
    if net.normalize:
        x = normalize(obs, net.views(theta)["normalize.moments"])
        return [x, *network_forward(x, *behind_normalize(theta, net), begins, states)]
    if net.layers[0].kind == "towers":
        own = iter(states)  # the second tower takes what the first has left
        first, second = [network_forward(obs, *tower, begins, own) for tower in towers_of(theta, net)]
        return [*first, *second, concat(first[-1], second[-1])]
    x, outputs = obs.reshape(len(obs), *net.input_shape), []
    for layer, parameters in zip(net.layers, parameters_of(theta, net, states)):
        x = layer_forward(x, layer, parameters, begins)
        outputs.append(x)
    return outputs


def network_backward(
    dout: Array, outputs: list[Array], obs: Array, theta: Array, net: Network, begins: Begins = (), states: States = ()
) -> Array:
    """d(loss)/d(theta), by the chain rule: from the last layer to the first, dx of a layer is dy of the one before.

    dout: d(loss)/d(outputs of the network), (rows, n_outputs). outputs: of `network_forward`. theta holds weight and
    bias of the first layer, then of the second, and so on; its gradient does too.
    """
    if net.normalize:  # mean and deviation are not learned
        learned = network_backward(dout, outputs[1:], outputs[0], *behind_normalize(theta, net), begins, states)
        return np.concatenate([np.zeros(len(theta) - len(learned), learned.dtype), learned])
    if net.layers[0].kind == "towers":
        first, second = towers_of(theta, net)
        n, own, (d1, d2) = len(first[1].layers), iter(states), concat_backward(dout, first[1].n_outputs)
        towers = ((d1, outputs[:n], obs, *first), (d2, outputs[n:-1], obs, *second))
        return np.concatenate([network_backward(*tower, begins, own) for tower in towers])
    gradients: list[Array] = []
    inputs, dy = [obs.reshape(len(obs), *net.input_shape), *outputs[:-1]], dout
    for layer, parameters, x, y in reversed(list(zip(net.layers, parameters_of(theta, net, states), inputs, outputs))):
        dy, *dparameters = layer_backward(dy.reshape(y.shape), x, y, layer, parameters, begins)
        gradients = [*dparameters, *gradients]
    return np.concatenate([gradient.ravel() for gradient in gradients])


# --- Policies ---
def log_softmax(logits: Array) -> Array:
    """log p_j = logit_j - log sum_k exp(logit_k), over the last axis."""
    # Without the largest logit the result is the same, and exp() cannot overflow.
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: Array) -> Array:
    """p_j = exp(logit_j) / sum_k exp(logit_k), over the last axis: the probabilities of the actions."""
    return np.exp(log_softmax(logits))


def entropy(logits: Array) -> Array:
    """H = - sum_j p_j log p_j, over the last axis."""
    return -(softmax(logits) * log_softmax(logits)).sum(axis=-1)


def epsilon_greedy(q: Array, epsilon: float) -> Array:
    """p_a = epsilon / |A|, plus 1 - epsilon for the first of the actions with the highest Q value. q: (|A|,)."""
    p = np.full_like(q, epsilon / q.size)
    p[q.argmax()] += 1 - epsilon
    return p


def gaussian_variance(x: Array) -> Array:
    """sigma^2 = softplus(x) = log(1 + exp(x)), plus SMALLEST_VARIANCE. x: the network's output."""
    return np.logaddexp(np.zeros_like(x), x) + SMALLEST_VARIANCE


def gaussian_log_density(action: Array, mu: Array, sigma2: Array) -> Array:
    """log pi(a) = - |a - mu|^2 / (2 sigma^2) - d/2 log(2 pi sigma^2), for the d numbers of the last axis.

    action, mu: (..., d); sigma2: (...), one for all numbers of an action.
    """
    return -((action - mu) ** 2).sum(axis=-1) / (2 * sigma2) - action.shape[-1] / 2 * np.log(2 * np.pi * sigma2)


def gaussian_entropy(sigma2: Array, d: int) -> Array:
    """H = d/2 (log(2 pi sigma^2) + 1)."""
    return d / 2 * (np.log(2 * np.pi * sigma2) + 1)


# --- Losses ---
# Each returns the loss of a segment of n steps, and its gradient by the network's outputs. A target or return is a
# constant: no gradient flows through it. rewards: (n,). terminated: whether s_n is terminal.
def one_step_targets(rewards: Array, next_values: Array, terminated: bool, gamma: float) -> Array:
    """y_i = r_i + gamma v_{i+1}, and y_i = r_i where s_{i+1} is terminal. next_values: v_1 .. v_n, (n,)."""
    goes_on = np.arange(len(rewards)) < len(rewards) - terminated
    return np.where(goes_on, rewards + gamma * next_values, rewards)


def returns(rewards: Array, end_value: float, gamma: float) -> Array:
    """R_i = r_i + gamma R_{i+1}, with R_n = end_value, the value of s_n; 0 where s_n is terminal."""
    R, after = np.zeros_like(rewards), end_value
    for i in reversed(range(len(rewards))):
        R[i] = after = rewards[i] + gamma * after
    return R


def squared_error(q: Array, actions: Array, targets: Array) -> Loss:
    """loss = sum_i (y_i - Q(s_i, a_i))^2,  d loss / d Q(s_i, a) = -2 (y_i - Q(s_i, a_i)) where a = a_i, else 0.

    q: (n, n_actions); actions, targets: (n,).
    """
    rows, dq = np.arange(len(q)), np.zeros_like(q)
    difference = targets - q[rows, actions]
    dq[rows, actions] = -2 * difference
    return (difference**2).sum(), dq


def one_step_q(q: Array, next_q: Array, actions: Array, rewards: Array, terminated: bool, gamma: float) -> Loss:
    """y_i = r_i + gamma max_a Q(s_{i+1}, a; theta-). q, next_q: of s_0 .. s_{n-1} and s_1 .. s_n, (n, n_actions)."""
    return squared_error(q, actions, one_step_targets(rewards, next_q.max(axis=1), terminated, gamma))


def one_step_sarsa(q: Array, next_q: Array, actions: Array, rewards: Array, terminated: bool, gamma: float) -> Loss:
    """y_i = r_i + gamma Q(s_{i+1}, a_{i+1}; theta-). actions: a_0 .. a_n, (n + 1,); the others as in `one_step_q`."""
    next_values = next_q[np.arange(len(q)), actions[1:]]
    return squared_error(q, actions[:-1], one_step_targets(rewards, next_values, terminated, gamma))


def nstep_q(q: Array, end_q: Array, actions: Array, rewards: Array, terminated: bool, gamma: float) -> Loss:
    """y_i = R_i with R_n = max_a Q(s_n, a; theta-). q: (n, n_actions); end_q: of s_n, (n_actions,)."""
    return squared_error(q, actions, returns(rewards, 0 if terminated else end_q.max(), gamma))


def softmax_loss(logits: Array, actions: Array, A: Array, beta: float) -> Loss:
    """loss = sum_i - log pi(a_i | s_i) A_i - beta H(pi(. | s_i)),  A_i a constant. logits: (n, n_actions); A: (n,).

    d loss / d logit_j = A (p_j - [j = a]) + beta p_j (log p_j + H).
    """
    rows, p, log_p, H = np.arange(len(logits)), softmax(logits), log_softmax(logits), entropy(logits)
    d_logits = A[:, None] * p + beta * p * (log_p + H[:, None])
    d_logits[rows, actions] -= A
    return (-log_p[rows, actions] * A - beta * H).sum(), d_logits


def a3c(outputs: Array, actions: Array, R: Array, beta: float) -> Loss:
    """The loss of `softmax_loss` with A_i = R_i - V_i, plus sum_i 1/2 (R_i - V_i)^2.  d loss / d V = - (R - V).

    outputs: logits and V of s_0 .. s_{n-1}, (n, n_actions + 1). actions: (n,). R: of `returns`, (n,).
    """
    A = R - outputs[:, -1]
    loss, d_logits = softmax_loss(outputs[:, :-1], actions, A, beta)
    return loss + (A**2 / 2).sum(), np.column_stack([d_logits, -A])


def a3c_multi_discrete(outputs: Array, nvec: Sequence[int], actions: Array, R: Array, beta: float) -> Loss:
    """The loss of `a3c` with a softmax for each integer: log pi(a) = sum_j log pi_j(a_j),  H = sum_j H_j.

    outputs: the logits of each integer, and V, (n, sum(nvec) + 1). actions: (n, len(nvec)). R: of `returns`, (n,).
    """
    A, logits = R - outputs[:, -1], np.split(outputs[:, :-1], np.cumsum(nvec)[:-1], axis=1)
    losses, gradients = zip(*(softmax_loss(own, action, A, beta) for own, action in zip(logits, actions.T)))
    return sum(losses) + (A**2 / 2).sum(), np.column_stack([*gradients, -A])


def a3c_continuous(outputs: Array, actions: Array, R: Array, beta: float) -> Loss:
    """The loss of `a3c` with a Gaussian policy. outputs: mu, x and V, (n, d + 2). actions: (n, d).

    d loss / d mu = - A (a - mu) / sigma^2,  d loss / d V = - (R - V),
    d loss / d x  = (A (d - |a - mu|^2 / sigma^2) - beta d) / (2 sigma^2) softplus'(x),  softplus' = sigmoid.
    """
    mu, x, A, d = outputs[:, :-2], outputs[:, -2], R - outputs[:, -1], actions.shape[1]
    sigma2 = gaussian_variance(x)
    loss = (-gaussian_log_density(actions, mu, sigma2) * A - beta * gaussian_entropy(sigma2, d) + A**2 / 2).sum()
    d_mu = -A[:, None] * (actions - mu) / sigma2[:, None]
    distance = ((actions - mu) ** 2).sum(axis=1) / sigma2
    d_x = (A * (d - distance) - beta * d) / (2 * sigma2) * sigmoid(x)
    return loss, np.column_stack([d_mu, d_x, -A])


# --- Optimisers ---
# Each returns the new theta and its new state, m or g. scale: the factor of `clip_scale`.
def momentum_sgd(theta: Array, grad: Array, m: Array, lr: float, decay: float, scale: float) -> Updated:
    """d = scale grad,  m <- decay m + (1 - decay) d,  theta <- theta - lr m."""
    m = decay * m + (1 - decay) * scale * grad
    return theta - lr * m, m


def rmsprop(theta: Array, grad: Array, g: Array, lr: float, decay: float, rms_eps: float, scale: float) -> Updated:
    """d = scale grad,  g <- decay g + (1 - decay) d^2,  theta <- theta - lr d / sqrt(g + rms_eps)."""
    d = scale * grad
    g = decay * g + (1 - decay) * d**2
    return theta - lr * d / np.sqrt(g + rms_eps), g


def clip_scale(grad: Array, clip_norm: float) -> float:
    """min(1, clip_norm / |grad|), the factor that brings the L2 norm of grad down to clip_norm; 1 if clip_norm is 0."""
    norm = np.sqrt((grad**2).sum())
    return clip_norm / norm if 0 < clip_norm < norm else 1.0
