"""The equations of the package, taken from the docstrings that stand beside the code."""

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from numasync.nn import reference
from numasync.runtime.jit import python_source

# By the kind of a layer, its forward and its backward in the reference.
LAYERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "dense": (reference.dense, reference.dense_backward),
    "heads": (reference.dense, reference.dense_backward),
    "relu": (reference.relu, reference.relu_backward),
    "conv": (reference.conv, reference.conv_backward),
    "lstm": (reference.lstm_cell, reference.lstm_backward),
}
# The words behind an equation that describe its arguments: " x: (rows, inputs); ..."
ARGUMENTS = re.compile(r"\.\s+(?:[\w', ]+: |Return ).*", re.S)


def of_algorithm(kernel: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Return the equations of an algorithm: of its targets and loss, and of d(loss)/d(outputs)."""
    module = python_source(kernel).__module__
    blocks = blocks_of(sys.modules[module].__doc__)
    if module.startswith("numasync.algorithms.a3c_"):  # they refer to a3c.py for R and A
        shared = "".join(blocks_of(sys.modules["numasync.algorithms.a3c"].__doc__)[:1])
        blocks.insert(0, shared.partition("\nloss")[0])
    gradients = [block for block in blocks if block.startswith("d loss")]
    return [block for block in blocks if block not in gradients], gradients or [of(reference.squared_error)]


def blocks_of(doc: str | None) -> list[str]:
    """Return the indented blocks of a docstring. `python -OO` leaves no docstrings, and so no blocks."""
    blocks: list[list[str]] = [[]]
    for line in inspect.cleandoc(doc or "").splitlines():
        if line.startswith("    "):
            blocks[-1].append(line[4:])
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def of(function: Callable[..., Any]) -> str:
    """Return the equation at the beginning of a docstring of the reference, without the words about arguments."""
    paragraph = " ".join((function.__doc__ or "").partition("\n\n")[0].split(" "))
    return ARGUMENTS.sub("", re.sub(r"\n\s+", " ", paragraph)).rstrip(".")


def of_layers(kinds: Iterable[str], way: int) -> list[str]:
    """Return the equations of some kinds of layers, each once. way: 0 for their forward, 1 for their backward."""
    named: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        if kind in LAYERS:
            named.setdefault(of(LAYERS[kind][way]).removeprefix("One step. "), []).append(kind)
    width = max(len(", ".join(own)) for own in named.values())
    lines = [f"{', '.join(own):<{width}}  {equation}" for equation, own in named.items()]
    return ["\n".join(lines)]
