"""Keywords for an environment (`env_kwargs`): what they may hold, and the sentence that refuses an unknown one."""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from numasync.errors import InputError
from numasync.runtime.checks import show
from numasync.runtime.hints import find_hint

# A file holds the keywords, so they are no place for data.
LONGEST_JSON, DEEPEST, LARGEST_INTEGER = 10_000, 20, 2**63


def as_kwargs(value: Any) -> dict[str, Any] | None:
    """Return the keywords for an environment as a new dict; None where there are none.

    They are as a file of JSON would hold them: a tuple becomes a list, and a number of NumPy one of Python. Raises
    InputError where JSON cannot hold them.
    """
    if value is None:
        return None
    try:
        pairs = list(value.items()) if isinstance(value, Mapping) else None
    except Exception:  # an object's own items() can raise anything
        pairs = None
    if pairs is None or not all(isinstance(key, str) for key, _ in pairs):
        raise InputError(f"env_kwargs is {show(value)}; it must be a dict with texts as keys, such as {{'mode': 1}}.")
    kwargs = {str(key): as_plain(key, part) for key, part in pairs}
    if len(json.dumps(kwargs)) > LONGEST_JSON:
        raise InputError(
            f"env_kwargs is longer than {LONGEST_JSON} characters of JSON; give a function as env instead."
        )
    return kwargs or None


def as_plain(key: str, value: Any) -> Any:
    """Return one value as JSON holds it. key: its keyword. Raises InputError where JSON cannot hold it."""
    try:
        return to_json(value, DEEPEST)
    except Exception:  # to_json raises, and so can the methods of an object
        raise InputError(
            f"env_kwargs has {key}={show(value)}, which a file of JSON cannot hold; give a function that makes the "
            f"environment instead, such as env=lambda: make_game({key}=...)."
        ) from None


def to_json(value: Any, depth: int) -> Any:
    """Return a value as JSON holds it, nested up to `depth` levels. Raises ValueError where JSON cannot hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (list, tuple)) and depth:
        return [to_json(part, depth - 1) for part in value]
    if isinstance(value, Mapping) and depth and all(isinstance(key, str) for key in value):
        return {str(key): to_json(part, depth - 1) for key, part in value.items()}
    raise ValueError("JSON cannot hold this value")


def unknown_keyword(env_id: str, key: str, known: Collection[str]) -> InputError:
    """Return the error that says that an environment takes no such keyword, and the nearest one that it takes."""
    names = f"its keywords are {', '.join(known)}" if known else "it takes no keyword"
    return InputError(f"{env_id} takes no {show(key)}; {find_hint(key, known) or names} (env_kwargs, --env-kwargs).")
