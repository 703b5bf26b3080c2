"""Values that no argument expects, for the tests that call the public interface with them."""

import datetime
import enum
import math
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import numasync


class Refusal(Exception):
    """What an object of `raising` raises. It is no error of Python's own."""


def raising(*names: str) -> Any:
    """Return an object whose special methods of these names raise."""

    def method(self, *arguments):
        raise Refusal(f"a {names[0]} that raises")

    return type("Raising", (), dict.fromkeys((f"__{name}__" for name in names), method))()


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"


NUMBERS = [
    *(0, 1, 2, 3, -1, -7, 255, 256, 2**15, 2**20, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, 1.0, 2.0, -1.5, 1e6, 1e-300, 5e-324, 1e16, 1e30, 1e308, math.nan, math.inf, -math.inf),
    *(True, False, 1j, complex("nan"), 10**5000),
    *(Fraction(1, 3), Fraction(3), Decimal("0.5"), Decimal(2), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999999999")),
    *(np.int64(3), np.uint8(255), np.int8(-1), np.float16(0.5), np.float32("nan"), np.float64(2), np.longdouble(1)),
    *(np.bool_(True), np.complex64(1), np.datetime64("2016-02-04"), np.timedelta64(3, "s"), np.timedelta64(3)),
]
TEXTS = [
    *(
        "",
        " ",
        "\n",
        "a\nb",
        "a\0b",
        "\0",
        "é",
        "日本",
        "\ud800",
        "\udc80",
        "x" * 300,
        "x" * 100_000,
        "%s{}",
        "-1",
        "3",
    ),
    *("CartPole-v1", "Nope-v0", "nope:Nope-v0", "a:b:c", ":", "os:path", "ALE/", "ALE/Nope-v5", "-v", "true", "mlp"),
    *("nstep_q", "a3c", "optimizers", "training", "no_op", "pong-nope", "missing/file.npz", "folder", "file.txt", "."),
    *("/", "..", "/dev/null/x", "~", "x.gif", "folder/x.gif", "C:\\x", "\x1b[31m", "\u2028", "١٢", "1_000"),
    *("loop", "loop/x", "pipe"),
    *(np.str_("text"), Path("folder"), Path("missing") / "x.npz", Path("a\0b"), b"", b"bytes", b"\xff\x00"),
]
OBJECTS = [
    *(None, Ellipsis, NotImplemented, object(), object, int, str, type, len, print, sys, math.sqrt, lambda: None),
    *(numasync.dense, numasync.relu(), numasync.dense(3), numasync.InputError("text."), Colour.RED, Colour, range(3)),
    *(datetime.date(2016, 2, 4), iter(()), (i for i in range(3)), memoryview(b"abc"), bytearray(b"abc"), slice(None)),
]
COLLECTIONS: list[Any] = [
    *([], (), {}, set(), frozenset({1}), [1, 2], (1, 2), (4,), (84, 84, 4), [1, [2]], [[1, 2], [3]], ["a"], [None]),
    *([math.nan] * 4, ["x"] * 4, [0.0] * 4, {"a": 1}, {1: 2}, [b"a"], [0, 1e400], [10**400], [raising("array")]),
    *((numasync.relu(),), (numasync.dense(3), "relu"), [numasync.towers((numasync.dense(1),), (numasync.dense(1),))]),
]
ARRAYS = [
    *(np.zeros(4), np.zeros(4, np.float32), np.zeros(0), np.array(3), np.array(0.5), np.array([3]), np.zeros((1, 4))),
    *(np.zeros((4, 1, 2)), np.array(True), np.zeros(4, bool), np.zeros(4, complex), np.array(["a"] * 4)),
    *(np.array([None] * 4), np.array([1, "a", None, 2.0], object), np.zeros(4, ">f4"), np.zeros(4, [("a", int)])),
    *(np.zeros(4, "M8[s]"), np.full(4, np.nan), np.zeros(8)[::2], np.broadcast_to(np.float32(0), (2**20,))),
    *(np.zeros(4, np.uint64), np.array([1, 2], np.uint64), np.zeros(4, np.float16), np.zeros((2, 0))),
]
SPECIAL = ("eq", "len", "array", "fspath", "repr", "bool", "hash", "iter", "index", "float", "int", "str")


def odd_values() -> list[Any]:
    """Return the values. Some refuse what objects usually can: to be compared, counted, hashed or shown."""
    recursive: list[Any] = []
    recursive.append(recursive)
    refusing = [raising(name) for name in SPECIAL]
    every = [raising(*SPECIAL), type("Text", (str,), {})("text"), recursive]
    return [*NUMBERS, *TEXTS, *OBJECTS, *COLLECTIONS, *ARRAYS, *refusing, *every]
