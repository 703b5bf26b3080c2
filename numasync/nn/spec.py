"""What a user writes: a network is a tuple of layers.

network((84, 84, 4), conv(16, 8, stride=4), relu(), conv(32, 4, stride=2), relu(), dense(256), relu(), heads(4, 1))
"""

from dataclasses import dataclass
from typing import Any

from numasync.errors import InputError
from numasync.runtime.checks import MOST, as_number, show


@dataclass(frozen=True)
class Layer:
    """One layer of a network as its user writes it.

    kind: a name of the registry, `nn/layers/__init__.py`, or "towers". sizes: the constructor's arguments.
    """

    kind: str
    sizes: tuple[Any, ...] = ()


def layer_of(kind: str, *sizes: Any) -> Layer:
    """Make a Layer of whole numbers, also of another library's. Raises InputError for anything else."""
    numbers = tuple(as_number(size, -MOST, MOST) for size in sizes)
    if not all(isinstance(number, int) for number in numbers):
        raise InputError(f"{kind}{show(sizes)} has a size that is no whole number up to {MOST}.")
    return Layer(kind, numbers)


def conv(filters: int, kernel_size: int, stride: int = 1) -> Layer:
    """Make a convolution over (height, width, channels) with a square kernel and no padding.

    filters: how many outputs each position has. kernel_size, stride: in pixels.
    Raises InputError where a size is no whole number.
    """
    return layer_of("conv", filters, kernel_size, stride)


def dense(units: int) -> Layer:
    """Make a fully connected layer, y = x W + b. It flattens an image.

    units: how many outputs it has. Raises InputError where `units` is no whole number.
    """
    return layer_of("dense", units)


def relu() -> Layer:
    """Make a rectified linear unit, y = max(x, 0). It stands behind another layer."""
    return layer_of("relu")


def lstm(units: int) -> Layer:
    """Make a layer of LSTM cells, which keep a hidden state from step to step of an episode.

    units: how many cells and outputs it has. Raises InputError where `units` is no whole number.
    """
    return layer_of("lstm", units)


def heads(*sizes: int) -> Layer:
    """Make the output layer: one dense layer with its heads side by side. heads(n_actions, 1) is a policy and a value.

    sizes: the outputs of each head. Raises InputError where a size is no whole number.
    """
    return layer_of("heads", *sizes)


def towers(first: tuple[Layer, ...], second: tuple[Layer, ...]) -> Layer:
    """Make a whole network of two stacks that read the same observation and share nothing.

    first, second: the layers of each stack. The outputs of the first come before the outputs of the second.
    Raises InputError where a stack is not one layer or more.
    """
    return Layer("towers", (as_layers("The first tower", first), as_layers("The second tower", second)))


def as_layers(name: str, layers: Any) -> tuple[Layer, ...]:
    """Return one layer or more as a tuple. Raises InputError, with `name`, for anything else."""
    if not isinstance(layers, (tuple, list)) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise InputError(f"{name} is {show(layers)}; it must be a tuple of layers such as (dense(64), relu()).")
    return tuple(layers)
