"""Random arrays, and how close two arrays or two slopes must be."""

from collections.abc import Callable
from typing import Any

import numpy as np

TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


def assert_close(actual: np.ndarray, expected: Any) -> None:
    """Check that both are equal to within the rounding of actual's dtype, relative to the largest expected value."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    bound = TOLERANCE[actual.dtype] * max(np.max(np.abs(expected), initial=0.0), 1e-30)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


def slope(function: Callable[[np.ndarray], float], at: np.ndarray, direction: np.ndarray, eps: float) -> float:
    """Return the derivative of a scalar function along a direction, by a central difference."""
    return (function(at + eps * direction) - function(at - eps * direction)) / (2 * eps)


def drawer(dtype: Any, seed: int = 1) -> Callable[..., np.ndarray]:
    """Return a function that draws an array of normal numbers: draw(rows, columns)."""
    generator = np.random.default_rng(seed)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def central_differences(function: Callable[[np.ndarray], float], at: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Return the gradient of a scalar function of an array, one element after the other. at: float64."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        direction = np.zeros_like(at)
        direction[index] = 1
        gradient[index] = slope(function, at, direction, eps)
    return gradient
