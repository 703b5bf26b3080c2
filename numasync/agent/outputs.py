"""What an agent thinks of observations: its network's outputs, with names."""

from typing import Any, NamedTuple

import numpy as np

from numasync.algorithms import Algorithm
from numasync.algorithms.policy import EPSILON_GREEDY, SMALLEST_VARIANCE
from numasync.envs.spec import CENTRE, HALF_RANGE, EnvSpec
from numasync.runtime.jit import FLOAT


class QValues(NamedTuple):
    """The outputs of a Q method. A batch of n has one axis more, in front.

    q      float32 (n_actions,): the estimated return of each action
    value  the highest of them: a float, or float32 (n,)
    """

    q: np.ndarray
    value: float | np.ndarray


class DiscretePolicy(NamedTuple):
    """The outputs of A3C where actions are integers. A batch of n has one axis more, in front.

    probabilities  float32 (n_actions,): the probability of each action; of several integers float32 (sum(nvec),): the
                   probabilities of the values of each integer, side by side
    value          the estimated return: a float, or float32 (n,)
    """

    probabilities: np.ndarray
    value: float | np.ndarray


class ContinuousPolicy(NamedTuple):
    """The outputs of A3C where actions are continuous: a normal distribution. A batch of n has one axis more, in front.

    mean   float32, an action's shape: its mean in the environment's own units, before it is clipped to the bounds
    std    float32, an action's shape: its standard deviation in these units
    value  the estimated return: a float, or float32 (n,)
    """

    mean: np.ndarray
    std: np.ndarray
    value: float | np.ndarray


Policy = QValues | DiscretePolicy | ContinuousPolicy


def name_outputs(outputs: np.ndarray, algorithm: Algorithm, spec: EnvSpec) -> Policy:
    """Return what the outputs of a network for n observations say, (n, n_outputs)."""
    n, n_actions = len(outputs), spec.n_actions
    if spec.continuous:
        shape = (n_actions,) if spec.action_shape is None else spec.action_shape
        half_range = spec.action_map[HALF_RANGE]
        mean = spec.action_map[CENTRE] + half_range * outputs[:, :n_actions]
        std = half_range * np.sqrt(np.logaddexp(outputs[:, n_actions, None], FLOAT(0)) + SMALLEST_VARIANCE)
        return ContinuousPolicy(mean.reshape(n, *shape), std.reshape(n, *shape), outputs[:, n_actions + 1].copy())
    if algorithm.policy == EPSILON_GREEDY:
        return QValues(outputs.copy(), outputs.max(axis=1))
    heads = np.split(outputs[:, :-1], np.cumsum(spec.action_heads)[:-1], axis=1)
    return DiscretePolicy(np.hstack([softmax(logits) for logits in heads]), outputs[:, -1].copy())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities for rows of logits."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def first_of(policy: Policy) -> Policy:
    """Return the Policy of the first observation of a batch alone."""
    first: dict[str, Any] = {name: array[0] for name, array in policy._asdict().items()}
    return policy._replace(**{**first, "value": float(first["value"])})
