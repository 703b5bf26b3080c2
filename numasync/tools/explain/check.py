"""Compare every number of a segment with `nn/reference.py`, the same mathematics in plain NumPy.

Each check takes what the kernel before has computed as its input. So a kernel that is wrong is named, and not what
comes after it. The reference computes in float64. Computed in float32 it differs from that by rounding alone, and so
may the kernel.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from numasync.envs.spec import CENTRE, HALF_RANGE, HIGHEST, LOWEST
from numasync.nn import reference
from numasync.nn.table import OUT_AT
from numasync.tools.explain.numbers import Numbers

# A kernel may differ by this part of the largest number, and by this many times what float32 changes in the reference.
RELATIVE, ROUNDINGS = 1e-5, 10.0
# Below it nothing counts: a number near the smallest that a float32 can hold.
SMALLEST = 1e-30


class Check(NamedTuple):
    """One quantity, compared.

    quantity    its name
    section     the number of the section that shows it
    difference  the largest difference to the reference
    largest     the largest number of the reference
    allowed     the largest difference that rounding explains
    """

    quantity: str
    section: int
    difference: float
    largest: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the kernel agrees with the reference. A NaN does not."""
        return self.difference <= self.allowed


def twice(function: Callable[..., Any], *inputs: Any) -> tuple[Any, Any]:
    """Return what a function of the reference computes of `inputs`: in float64, and in their own dtype."""
    return function(*map(exact, inputs)), function(*inputs)


def compare(quantity: str, section: int, actual: Any, computed: tuple[Any, Any]) -> Check:
    """Compare what a kernel computed with the reference, and return the Check.

    actual    the kernel's numbers
    computed  the reference's, of `twice`
    """
    expected, rounded = (np.asarray(one, np.float64) for one in computed)
    found = np.asarray(actual, np.float64).reshape(expected.shape)
    largest = greatest(expected)
    allowed = RELATIVE * largest + ROUNDINGS * greatest(rounded - expected) + SMALLEST
    return Check(quantity, section, greatest(found - expected), largest, allowed)


def exact(value: Any) -> Any:
    """Return float32 arrays, also in a list, as float64."""
    if isinstance(value, list):
        return [exact(one) for one in value]
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value


def greatest(values: np.ndarray) -> float:
    """Return the largest absolute value; 0 where there is none, NaN where there is one."""
    return float(np.abs(values).max()) if values.size else 0.0


def check_all(numbers: Numbers) -> list[Check]:
    """Compare every quantity of a segment with the reference."""
    return [
        *check_forward(numbers),
        *check_targets(numbers),
        *check_loss(numbers),
        *check_backward(numbers),
        *check_update(numbers),
    ]


def describe_wrong(checks: list[Check]) -> str | None:
    """Return a sentence about the first quantity that differs, or None where all agree."""
    wrong = [check for check in checks if not check.passed]
    if not wrong:
        return None
    first = wrong[0]
    others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return (
        f"The kernels differ from nn/reference.py in {first.quantity}: by {first.difference:.2g}, where rounding "
        f"explains {first.allowed:.2g}{others}."
    )


def check_forward(numbers: Numbers) -> Iterator[Check]:
    """Compare the outputs of each layer, and the outputs that the bootstrap reads."""
    net, start, n = numbers.network, numbers.start, numbers.n

    def forward(obs: np.ndarray, theta: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
        return reference.network_forward(obs, theta, net, states=states)

    expected, rounded = twice(forward, numbers.obs[:n], start.theta, start.states)
    shown = {row[OUT_AT]: i for i, row in enumerate(net.rows)}  # a relu overwrites what it reads
    for i in shown.values():
        yield compare(f"the outputs of {label(numbers, i)}", 2, numbers.layers[i], (expected[i], rounded[i]))
    first, last = numbers.first, numbers.last
    if first < last:
        inputs = numbers.obs[first:last], numbers.bootstrap_theta, numbers.bootstrap_states
        computed = twice(lambda *inputs: forward(*inputs)[-1], *inputs)
        yield compare("the outputs for the bootstrap", 3, numbers.bootstrap[first:last], computed)


def label(numbers: Numbers, i: int) -> str:
    """Return the name of a row of the layer table, with the layer that it overwrites: 'dense1, relu'."""
    net = numbers.network
    in_place = i > 0 and net.rows[i - 1][OUT_AT] == net.rows[i][OUT_AT]
    return f"{net.names[i - 1]}, {net.kinds[i]}" if in_place else net.names[i]


def targets_of(numbers: Numbers) -> np.ndarray:
    """Return y_i or R_i, (n,), as the kernel had it: d_outputs tells it, -2 (y - Q) or -(R - V)."""
    outputs, d_outputs = numbers.outputs, numbers.d_outputs
    if numbers.algorithm.other_heads:
        return outputs[:, -1] - d_outputs[:, -1]
    rows, actions = np.arange(numbers.n), numbers.actions[: numbers.n]
    return outputs[rows, actions] - d_outputs[rows, actions] / np.float32(2)


def next_values(numbers: Numbers, bootstrap: np.ndarray) -> np.ndarray:
    """Return the value of s_1 .. s_n that the bootstrap takes, (n,). Rows that the algorithm does not read are 0."""
    values = np.zeros(numbers.n + 1, bootstrap.dtype)
    for i in range(numbers.first, numbers.last):
        if numbers.algorithm.other_heads:
            values[i] = bootstrap[i, -1]
        elif numbers.settings.next_action:
            values[i] = bootstrap[i, numbers.actions[i]]
        else:
            values[i] = bootstrap[i].max()
    return values[1:]


def check_targets(numbers: Numbers) -> Iterator[Check]:
    """Compare the targets or returns."""
    gamma, terminated = numbers.config.gamma, numbers.terminated

    def targets(rewards: np.ndarray, bootstrap: np.ndarray) -> np.ndarray:
        values = next_values(numbers, bootstrap)
        if numbers.settings.one_step:
            return reference.one_step_targets(rewards, values, terminated, gamma)
        return reference.returns(rewards, values[-1], gamma)

    name = "targets" if numbers.settings.one_step else "returns"
    # The kernel's target is found as a sum with an output, and has its rounding.
    rounding = 2.0**-22 * greatest(numbers.outputs)
    check = compare(f"the {name}", 3, targets_of(numbers), twice(targets, numbers.rewards, numbers.bootstrap))
    yield check._replace(allowed=check.allowed + rounding)


def loss_of(
    numbers: Numbers, outputs: np.ndarray, bootstrap: np.ndarray, rewards: np.ndarray, actions: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the loss of the reference, and its gradient by the outputs."""
    gamma, beta, terminated, n = numbers.config.gamma, numbers.config.beta, numbers.terminated, numbers.n
    if numbers.algorithm.other_heads:
        R = reference.returns(rewards, next_values(numbers, bootstrap)[-1], gamma)
        if numbers.spec.continuous:
            return reference.a3c_continuous(outputs, actions, R, beta)
        if numbers.spec.nvec:
            return reference.a3c_multi_discrete(outputs, numbers.spec.nvec, actions, R, beta)
        return reference.a3c(outputs, actions, R, beta)
    if not numbers.settings.one_step:
        return reference.nstep_q(outputs, bootstrap[n], actions, rewards, terminated, gamma)
    loss = reference.one_step_q
    if numbers.settings.next_action:
        loss = reference.one_step_sarsa
        actions = numbers.actions if len(numbers.actions) > n else np.append(actions, 0)
    readable = np.where(np.arange(n + 1)[:, None] < numbers.last, bootstrap, 0)
    return loss(outputs, readable[1:], actions, rewards, terminated, gamma)


def check_loss(numbers: Numbers) -> Iterator[Check]:
    """Compare the loss, d(loss)/d(outputs), and what is left of it where the means of actions are held."""
    inputs = numbers.outputs, numbers.bootstrap, numbers.rewards, numbers.actions[: numbers.n]
    (loss, gradient), (rounded_loss, rounded_gradient) = twice(lambda *arrays: loss_of(numbers, *arrays), *inputs)
    check = compare("the loss", 4, numbers.loss, (loss, rounded_loss))
    # The terms of a loss can cancel each other.
    yield check._replace(allowed=check.allowed + RELATIVE * np.square(gradient).sum())
    yield compare("d(loss)/d(outputs)", 4, numbers.d_outputs, (gradient, rounded_gradient))
    if numbers.spec.continuous:
        held = hold(numbers.d_outputs, numbers)
        yield compare("d(loss)/d(outputs), held", 4, numbers.d_held, (held, held))


def hold(d_outputs: np.ndarray, numbers: Numbers) -> np.ndarray:
    """Clear what pushes a mean beyond its bounds, as `hold_means` of `algorithms/policy.py` does."""
    table, d = numbers.spec.action_map, numbers.spec.n_actions
    mean = table[CENTRE] + table[HALF_RANGE] * numbers.outputs[:, :d]
    out = ((mean > table[HIGHEST]) & (d_outputs[:, :d] < 0)) | ((mean < table[LOWEST]) & (d_outputs[:, :d] > 0))
    return np.column_stack([np.where(out, 0, d_outputs[:, :d]), d_outputs[:, d:]])


def check_backward(numbers: Numbers) -> Iterator[Check]:
    """Compare the gradient of each parameter, its norm and the clip factor."""
    net, start, n = numbers.network, numbers.start, numbers.n
    shapes = [y.shape for y in reference.network_forward(numbers.obs[:n], start.theta, net, states=start.states)]
    layers = [block.reshape(shape) for block, shape in zip(numbers.layers, shapes)]

    def backward(dout: np.ndarray, layers: list[np.ndarray], obs: np.ndarray, *rest: Any) -> np.ndarray:
        theta, states = rest
        return reference.network_backward(dout, layers, obs, theta, net, states=states)

    inputs = numbers.d_held, layers, numbers.obs[:n], start.theta, start.states
    expected, rounded = map(net.views, twice(backward, *inputs))
    for name, grad in net.views(numbers.grad).items():
        if not name.startswith("normalize"):
            yield compare(f"the gradient of {name}", 5, grad, (expected[name], rounded[name]))
    norm = twice(lambda grad: np.sqrt((grad**2).sum()), numbers.grad)
    yield compare("the norm of the gradient", 5, numbers.grad_norm, norm)
    clip_norm = numbers.config.clip_norm
    yield compare(
        "the clip factor", 5, numbers.scale, twice(lambda g: reference.clip_scale(g, clip_norm), numbers.grad)
    )


def check_update(numbers: Numbers) -> Iterator[Check]:
    """Compare the change of theta, and g (or m) after it. Blocks that were skipped have no gradient."""
    config, updated = numbers.config, numbers.updated

    def optimise(theta: np.ndarray, grad: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if config.optimizer == "momentum_sgd":
            return reference.momentum_sgd(theta, grad, g, numbers.lr, config.rms_decay, numbers.scale)
        rest = (numbers.lr, config.rms_decay, config.rms_eps, numbers.scale)
        return reference.rmsprop(theta, grad, g, *rest)

    before = numbers.start.theta[updated]
    inputs = before, numbers.grad[updated], numbers.g[updated]
    name = "m" if config.optimizer == "momentum_sgd" else "g"
    (theta, g), (rounded_theta, rounded_g) = twice(optimise, *inputs)
    yield compare(f"{name} after the update", 6, numbers.g_after[updated], (g, rounded_g))
    change = numbers.theta_after[updated] - before.astype(np.float64)
    yield compare("the change of theta", 6, change, (theta - before, rounded_theta - before.astype(np.float64)))
