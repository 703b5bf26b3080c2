"""Checks of what a user gives. Each raises InputError with one sentence.

A function of the public interface calls one of these for each argument, and needs no check of its own. `name` is what
the sentence calls the argument.
"""

import math
import os
from collections.abc import Collection
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.hints import OtherNames, advise

# Kernels compute in float32 and count in int64. Numbers that these cannot hold are refused.
SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = 1e30
MOST = 2**53

# A sentence shows this many characters of a value. A path may have LONGEST_PATH bytes, as on Linux.
LONGEST_VALUE = 200
LONGEST_TEXT = 1_000
LONGEST_PATH = 4095


def show(value: Any) -> str:
    """Return repr(value) for a sentence: on one line, cut where it is long. It raises nothing."""
    try:
        text = repr(value)
    except Exception:  # a value's own __repr__ can raise anything
        text = object.__repr__(value)
    if len(text.splitlines()) > 1:
        text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def as_number(value: Any, low: float, high: float) -> int | float | None:
    """Return a number from low to high, a whole one as an int; None for anything else. A bool is no number.

    It takes every kind of real number of Python, and of a library whose numbers and arrays without dimensions have
    `item()`: NumPy and others.
    """
    try:
        if getattr(value, "ndim", None) == 0:
            value = value.item()
        is_number = isinstance(value, (Real, Decimal)) and not isinstance(value, bool)
        # This comes before int: the digits of Decimal("1e999999999") would fill the memory.
        if not is_number or not low <= value <= high or not math.isfinite(value):
            return None
        return int(value) if int(value) == value else float(value)
    except Exception:  # a value's own methods can raise anything
        return None


def parse_number(text: str) -> int | float:
    """Return the number of a text, a whole one as an int, also '1e6'. Raises ValueError where there is none."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number


def as_whole_number(name: str, value: Any, low: int, high: int = MOST) -> int:
    """Return a whole number from low to high as an int. 1e6 is one. Raises InputError for anything else."""
    number = as_number(value, low, high)
    if not isinstance(number, int):
        raise InputError(f"{name} is {show(value)}; it must be a whole number from {low} to {high}.")
    return number


def check_whole_number(name: str, value: Any, low: int, high: int = MOST) -> None:
    """Raise InputError unless `value` is an int from low to high, as JSON holds it: not 1.0, and no number of NumPy."""
    if type(value) is not int:
        raise InputError(f"{name} is {show(value)}; it must be a whole number from {low} to {high}.")
    as_whole_number(name, value, low, high)


def as_real_number(name: str, value: Any, low: float, high: float) -> float:
    """Return a number from low to high, one that float32 can hold, as a float. Raises InputError for anything else."""
    number = as_number(value, low, high)
    if number is None or (number != 0 and abs(number) < SMALLEST):
        bounds = f"above 0, up to {high:g}" if low == SMALLEST else f"from {low:g} to {high:g}"
        raise InputError(f"{name} is {show(value)}; it must be a number {bounds}.")
    return float(number)


def as_switch(name: str, value: Any) -> bool:
    """Return True or False, also of NumPy's. Raises InputError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {show(value)}; it must be True or False.")
    return bool(value)


def as_path(name: str, value: Any) -> Path:
    """Return a path. Raises InputError unless it is a text or a pathlib.Path that can name a file."""
    try:
        text = os.fspath(value)
        fits = isinstance(text, str) and len(os.fsencode(text)) <= LONGEST_PATH and "\0" not in text
    except Exception:  # an object's own __fspath__ can raise anything
        fits = False
    if not fits:
        raise InputError(f"{name} is {show(value)}; it must be a path, a text or a pathlib.Path.")
    return Path(text)


def as_folder(name: str, value: Any) -> Path:
    """Return the path of a folder. Raises InputError as `as_path` does, and for '', which could also mean no folder."""
    path = as_path(name, value)
    if not os.fspath(value):
        raise InputError(f"{name} is ''; it must be the path of a folder.")
    return path


def check_text(name: str, value: Any) -> None:
    """Raise InputError unless `value` is a string, and not a very long one."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {show(value)}; it must be a string.")
    if len(value) > LONGEST_TEXT:
        raise InputError(f"{name} is {show(value)}; it must be a string of {LONGEST_TEXT} characters at most.")


def check_choice(value: Any, choices: Collection[str], kind: str, other_names: OtherNames | None = None) -> None:
    """Raise InputError, with the nearest choice, unless `value` is one of the choices.

    value        what the user has given
    choices      what may be given
    kind         'no option', where choices are options
    other_names  what other libraries call the choices, see `hints.advise`
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{show(value)} is {kind}; {advise(value, choices, other_names)}.")


def check_kind(name: str, value: Any, kinds: Any, needed: str) -> None:
    """Raise InputError unless `value` is of a class, or of one of several. needed: 'an Agent', in the sentence."""
    if not isinstance(value, kinds):
        raise InputError(f"{name} is {show(value)}; it must be {needed}.")


def check_method(name: str, value: Any, method: str, needed: str) -> None:
    """Raise InputError unless `value` has a method of that name. needed: 'an executor', in the sentence."""
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        raise InputError(f"{name} is {show(value)}; it must be {needed}.")


def as_array(value: Any, kinds: str = "biuf") -> np.ndarray | None:
    """Return an array of real numbers of these kinds of dtypes, or None for what cannot be one."""
    try:
        array = np.asarray(value)
    except Exception:  # an object's own __array__ and __len__ can raise anything
        return None
    return array if array.dtype.kind in kinds else None


def check_array(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise InputError unless `value` is an array of real numbers of this shape."""
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind not in "fiu":
        raise InputError(f"{name} is {show(value)}; it must be an array of numbers of shape {shape}.")
