"""Checks of the numbers that a user gives. Each raises one sentence."""

from typing import Any

import numpy as np

from numasync.errors import InputError

# Kernels compute in float32 and count in int64. Numbers that these cannot hold are refused.
SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = 1e30
MOST = 2**53


def check_whole_number(name: str, value: Any, low: int, high: int = MOST) -> None:
    """Raise InputError unless `value`, called `name` in the message, is an int from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; it must be a whole number from {low} to {high}.")


def check_real_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise InputError unless `value`, called `name` in the message, is a number from low to high, for float32."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high or (value != 0 and abs(value) < SMALLEST):
        bounds = f"above 0, up to {high:g}" if low == SMALLEST else f"from {low:g} to {high:g}"
        raise InputError(f"{name} is {value!r}; it must be a number {bounds}.")
