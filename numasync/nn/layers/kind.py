"""What a kind of layer is: a plan, made by Python once a network, and two kernels that the network's passes run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Plan(NamedTuple):
    """What a layer needs, on inputs of a certain shape.

    out_shape: shape of its output for one step.
    weight_shape: shape of its weights; the last number is the units, the others together the fan-in. () for none.
    in_place: its outputs take the place of its inputs on the tape.
    kept_size: numbers a step that it keeps for its backward.
    state_size: numbers of its hidden state.
    work_size: numbers that its backward needs to work with, where it computes the gradient of its inputs.
    own: up to five whole numbers for its columns of the table, from OWN on.
    """

    out_shape: tuple[int, ...]
    weight_shape: tuple[int, ...] = ()
    in_place: bool = False
    kept_size: int = 0
    state_size: int = 0
    work_size: int = 0
    own: tuple[int, ...] = ()


def keep_uniform(weight: np.ndarray, bias: np.ndarray) -> None:
    """Leave the parameters as `Network.initial` has drawn them."""


class LayerKind(NamedTuple):
    """A kind of layer, as the registry holds it.

    plan(sizes, in_shape) -> Plan, where sizes are the arguments of the constructor in `spec.py`. It raises InputError
        where the layer does not fit its input.
    forward(tape, obs, theta, row, capacity, first, last): a pointer_kernel that writes steps first..last-1 of the
        layer's outputs. row: of the table.
    backward(dtape, grad, tape, obs, theta, work, row, capacity, n): a pointer_kernel that adds the gradient of the
        layer's parameters to grad and writes the gradient of its inputs into dtape, for steps 0..n-1.
    n_sizes: how many sizes it takes; None for one or more.
    initialize(weight, bias): change the parameters after they are drawn, in place.
    parts: the names of its weights and of its biases.
    """

    plan: Callable[[tuple[int, ...], tuple[int, ...]], Plan]
    forward: Any
    backward: Any
    n_sizes: int | None
    initialize: Callable[[np.ndarray, np.ndarray], None] = keep_uniform
    parts: tuple[str, str] = ("weight", "bias")
