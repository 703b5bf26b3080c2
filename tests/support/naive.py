"""Plain NumPy twins of the kernels, obviously right: they return what a kernel writes and modify nothing."""

import numpy as np

from numasync.nn.network import network

TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


def assert_close(actual, expected):
    """Equal to within the rounding of actual's dtype, measured against the largest expected value."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    bound = TOLERANCE[actual.dtype] * max(np.max(np.abs(expected), initial=0.0), 1e-30)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


def slope(function, at, direction, eps):
    """The derivative of a scalar function along a direction, by a central difference."""
    return (function(at + eps * direction) - function(at - eps * direction)) / (2 * eps)


# nn/gemm.py


def cells(m, terms, row, column, jump, runs):
    """Where A[i, s, p] lies in a flat array."""
    i, s, p = np.ogrid[:m, :runs, :terms]
    return i * row + s * jump + p * column


def add_product(a, row, column, jump, runs, b, c):
    terms = len(b) // runs
    matrix = a[cells(len(c), terms, row, column, jump, runs)]
    return c + np.einsum("isp,spj->ij", matrix, b.reshape(runs, terms, b.shape[1]))


def add_product_transposed(a, b, c):
    return c + np.einsum("ij,pj->ip", a, b)


# nn/layers.py; images are (rows, height, width, channels), convolution weights (kernel, kernel, channels, filters)


def add_rows(rows, total):
    return total + rows.sum(axis=0)


def dense(x, weight, bias):
    return np.einsum("ri,iu->ru", x, weight) + bias


def dense_backward(x, weight, dy):
    """(dweight, dbias, dx)"""
    return np.einsum("ri,ru->iu", x, dy), dy.sum(axis=0), np.einsum("ru,iu->ri", dy, weight)


def patches(shape, kernel_size, stride):
    """(oy, ox, the index of its patch) for every output position of an image of this shape."""
    for oy in range((shape[1] - kernel_size) // stride + 1):
        for ox in range((shape[2] - kernel_size) // stride + 1):
            top, left = oy * stride, ox * stride
            yield oy, ox, np.s_[:, top : top + kernel_size, left : left + kernel_size, :]


def conv(x, weight, bias, stride):
    size = weight.shape[0]
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((len(x), height, width, len(bias)), x.dtype)
    for oy, ox, patch in patches(x.shape, size, stride):
        y[:, oy, ox] = bias + np.einsum("ryxc,yxcf->rf", x[patch], weight)
    return y


def conv_backward(x, weight, dy, stride):
    """(dweight, dbias, dx)"""
    dweight, dx = np.zeros_like(weight), np.zeros_like(x)
    for oy, ox, patch in patches(x.shape, weight.shape[0], stride):
        dweight += np.einsum("ryxc,rf->yxcf", x[patch], dy[:, oy, ox])
        dx[patch] += np.einsum("rf,yxcf->ryxc", dy[:, oy, ox], weight)
    return dweight, dy.sum(axis=(0, 1, 2)), dx


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, weight, bias, begins=(), h=0.0, c=0.0):
    """(h of every row, and for `lstm_backward` what it was computed from). begins: the rows where an episode does;
    h, c: the state before row 0."""
    units = len(bias) // 4
    h, c = h + np.zeros(units), c + np.zeros(units)
    rows = []
    for t in range(len(x)):
        if t in begins:
            h = c = np.zeros(units)
        both = np.concatenate([x[t], h])
        i, f, o, u = (both @ weight + bias).reshape(4, units)
        i, f, o, u = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(u)
        before, c = c, f * c + i * u
        h = o * np.tanh(c)
        rows.append((both, i, f, o, u, before, c, h))
    return np.array([row[-1] for row in rows]), rows


def lstm_backward(rows, weight, dy, begins=()):
    """(dweight, dbias, dx)"""
    units = dy.shape[1]
    dweight, dbias, dx = np.zeros_like(weight), np.zeros(4 * units), np.zeros((len(dy), len(weight) - units))
    dh = dc = np.zeros(units)
    for t in reversed(range(len(dy))):
        both, i, f, o, u, before, c, _ = rows[t]
        dh = dh + dy[t]
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        di, df, do, du = dc * u, dc * before, dh * np.tanh(c), dc * i
        dsums = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), du * (1 - u**2)])
        dweight += np.outer(both, dsums)
        dbias += dsums
        dboth = weight @ dsums
        dx[t], dh, dc = dboth[:-units], dboth[-units:], dc * f
        if t in begins:
            dh = dc = np.zeros(units)
    return dweight, dbias, dx


def relu(x):
    return np.where(x > 0, x, 0)


def relu_backward(y, dy):
    return np.where(y > 0, dy, 0)


# nn/network.py


def network_forward(net, theta, obs, begins=()):
    """The output of every layer, in order; obs: (rows, inputs). begins: the rows where an episode does, for an LSTM."""
    named = net.views(theta)
    if net.layers[0].kind == "towers":
        parts = [network_forward(part, part_theta, obs, begins) for part, part_theta in tower_networks(net, theta)]
        return [*parts[0], *parts[1], np.hstack([parts[0][-1], parts[1][-1]])]
    x = obs.reshape(len(obs), *net.input_shape)
    outputs = []
    for name, layer in zip(net.names, net.layers):
        if layer.kind == "relu":
            x = relu(x)
        elif layer.kind == "conv":
            x = conv(x, named[f"{name}.weight"], named[f"{name}.bias"], layer.sizes[2])
        elif layer.kind == "lstm":
            x, _ = lstm(x.reshape(len(x), -1), named[f"{name}.weight"], named[f"{name}.bias"], begins)
        else:
            x = dense(x.reshape(len(x), -1), named[f"{name}.weight"], named[f"{name}.bias"])
        outputs.append(x)
    return outputs


def tower_networks(net, theta):
    """Two towers as two networks with their own parameters."""
    first, second = (network(net.input_shape, *layers) for layers in net.layers[0].sizes)
    return (first, theta[: first.n_parameters]), (second, theta[first.n_parameters :])


def network_backward(net, theta, obs, outputs, dout, begins=()):
    """d(loss)/d(theta), flat, from d(loss)/d(outputs) and what `network_forward` returned."""
    if net.layers[0].kind == "towers":
        (first, theta1), (second, theta2) = tower_networks(net, theta)
        n, m = len(first.layers), first.n_outputs
        grad1 = network_backward(first, theta1, obs, outputs[:n], dout[:, :m], begins)
        grad2 = network_backward(second, theta2, obs, outputs[n:-1], dout[:, m:], begins)
        return np.concatenate([grad1, grad2])
    grad = np.zeros_like(theta)
    named, dnamed = net.views(theta), net.views(grad)
    inputs = [obs.reshape(len(obs), *net.input_shape), *outputs[:-1]]
    dy = dout
    for name, layer, x, y in reversed(list(zip(net.names, net.layers, inputs, outputs))):
        dy = dy.reshape(y.shape)
        if layer.kind == "relu":
            dy = relu_backward(y, dy)
            continue
        weight = named[f"{name}.weight"]
        if layer.kind == "conv":
            dweight, dbias, dy = conv_backward(x, weight, dy, layer.sizes[2])
        elif layer.kind == "lstm":
            _, rows = lstm(x.reshape(len(x), -1), weight, named[f"{name}.bias"], begins)
            dweight, dbias, dy = lstm_backward(rows, weight, dy, begins)
        else:
            dweight, dbias, dy = dense_backward(x.reshape(len(x), -1), weight, dy)
        dnamed[f"{name}.weight"][:], dnamed[f"{name}.bias"][:] = dweight, dbias
    return grad


# optim.py


def momentum_sgd(theta, grad, m, lr, decay, scale):
    """(theta, m)"""
    m = decay * m + (1 - decay) * scale * grad
    return theta - lr * m, m


def rmsprop(theta, grad, g, lr, decay, rms_eps, scale):
    """(theta, g)"""
    g = decay * g + (1 - decay) * (scale * grad) ** 2
    return theta - lr * scale * grad / np.sqrt(g + rms_eps), g


def clip_scale(grad, clip_norm):
    norm = np.sqrt(np.sum(grad**2))
    return clip_norm / norm if 0 < clip_norm < norm else 1.0


# policy.py


def log_softmax(logits):
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())
