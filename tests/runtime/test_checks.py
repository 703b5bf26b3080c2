"""The checks of arguments: what they take, what they make of it, and the sentences of their refusals."""

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.odd_values import NUMBERS, odd_values, raising
from support.text import without_address

from numasync import InputError
from numasync.runtime.checks import (
    LONGEST_PATH,
    LONGEST_TEXT,
    LONGEST_VALUE,
    MOST,
    SMALLEST,
    as_array,
    as_folder,
    as_number,
    as_path,
    as_real_number,
    as_switch,
    as_whole_number,
    check_array,
    check_choice,
    check_kind,
    check_method,
    check_text,
    parse_number,
    show,
)


class Tensor:
    """A number of another library: an array without dimensions, which is no number of Python."""

    ndim = 0

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Broken(float):
    """A number that can be compared, and not be read."""

    def __int__(self):
        raise RuntimeError("no")


THREES = [
    *(3, 3.0, np.int8(3), np.uint64(3), np.float16(3), np.longdouble(3), np.array(3), np.array(3.0)),
    *(Fraction(3), Decimal(3), Tensor(3), Tensor(3.0)),
]
NO_NUMBERS = [
    *(True, np.bool_(True), np.array(True), Tensor(True), None, "3", b"3", 3j, np.complex64(3), [3], np.array([3])),
    *(np.datetime64("2016-02-04"), np.timedelta64(3, "s"), math.nan, math.inf, -math.inf, Decimal("sNaN"), Broken(3)),
    *(Decimal("1e999999999"), 10**5000, raising("float", "int", "index"), Tensor(None), Tensor),
]


@pytest.mark.parametrize("value", THREES, ids=without_address)
def test_a_whole_number_may_be_of_any_kind_and_library(value):
    found = as_whole_number("n", value, 3, 3)
    assert found == 3 and type(found) is int
    found = as_real_number("x", value, 0.0, 3.0)
    assert found == 3.0 and type(found) is float


@pytest.mark.parametrize("value", NO_NUMBERS, ids=without_address)
def test_what_is_no_number_is_refused_in_one_sentence(value):
    with pytest.raises(InputError) as caught:
        as_whole_number("n", value, 0, 5)
    assert str(caught.value) == f"n is {show(value)}; it must be a whole number from 0 to 5."
    with pytest.raises(InputError) as caught:
        as_real_number("x", value, 0.0, 5.0)
    assert str(caught.value) == f"x is {show(value)}; it must be a number from 0 to 5."


@pytest.mark.parametrize("value", [2, 6, 2.999, 3.5, np.float64(4.5), Fraction(7, 2)])
def test_a_whole_number_is_whole_and_within_its_bounds(value):
    with pytest.raises(InputError, match=r"it must be a whole number from 3 to 5\.$"):
        as_whole_number("n", value, 3, 5)


def test_a_large_whole_number_keeps_every_digit():
    assert as_number(MOST - 1, 0, MOST) == as_number(float(MOST - 1), 0, MOST) == MOST - 1
    assert as_whole_number("n", 1e6, 1) == 1_000_000
    assert as_number(Decimal("1e999999999"), -math.inf, math.inf) is None, "its digits would fill the memory"


@pytest.mark.parametrize("value", [5e-324, 1e-300, -1.0, 1e31])
def test_a_real_number_is_one_that_float32_holds(value):
    with pytest.raises(InputError, match=r"^x is .*; it must be a number above 0, up to 1e\+30\.$"):
        as_real_number("x", value, SMALLEST, 1e30)


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("-3", -3), ("1e6", 1_000_000), ("2.0", 2), ("2.5", 2.5), ("1e400", math.inf)]
)
def test_a_text_becomes_a_number(text, number):
    found = parse_number(text)
    assert found == number and type(found) is type(number)


@pytest.mark.parametrize("text", ["", "x", "1e", "0x10", "1,000"])
def test_a_text_without_a_number_is_no_number(text):
    with pytest.raises(ValueError):
        parse_number(text)


def test_a_switch_is_true_or_false():
    assert as_switch("s", True) is as_switch("s", np.bool_(True)) is True and as_switch("s", False) is False
    for value in (0, 1, None, "yes", [], np.array(True)):
        with pytest.raises(InputError, match=r"^s is .*; it must be True or False\.$"):
            as_switch("s", value)


class Named:
    """Something that names a file."""

    def __fspath__(self):
        return "a/b"


@pytest.mark.parametrize("value", ["a/b", Path("a/b"), Named()])
def test_a_path_is_a_text_or_names_a_file(value):
    assert as_path("path", value) == as_folder("path", value) == Path("a/b")


@pytest.mark.parametrize(
    "value",
    [None, 3, b"a", ["a"], "a\0b", Path("a\0b"), "\ud800", "x" * (LONGEST_PATH + 1), raising("fspath")],
    ids=without_address,
)
def test_what_can_name_no_file_is_refused(value):
    for parse in (as_path, as_folder):
        with pytest.raises(InputError) as caught:
            parse("out", value)
        assert str(caught.value) == f"out is {show(value)}; it must be a path, a text or a pathlib.Path."


def test_an_empty_text_is_no_folder():
    assert as_path("path", "") == Path()
    with pytest.raises(InputError, match=r"^out is ''; it must be the path of a folder\.$"):
        as_folder("out", "")


def test_a_text_is_a_string_that_is_not_very_long():
    check_text("env", "x" * LONGEST_TEXT)
    with pytest.raises(InputError, match=r"^env is 3; it must be a string\.$"):
        check_text("env", 3)
    with pytest.raises(
        InputError, match=rf"^env is 'x+\.\.\.; it must be a string of {LONGEST_TEXT} characters at most\.$"
    ):
        check_text("env", "x" * (LONGEST_TEXT + 1))


def test_a_choice_is_one_of_the_choices():
    check_choice("a", ("a", "b"), "no letter")
    for value in ("c", None, ["a"], raising("eq", "hash")):
        with pytest.raises(InputError) as caught:
            check_choice(value, {"a": 1, "b": 2}, "no letter")
        assert str(caught.value) == f"{show(value)} is no letter; choose one of a, b."


def test_kinds_and_methods():
    check_kind("n", 3, int, "an int")
    check_method("executor", Tensor(3), "item", "a tensor")
    with pytest.raises(InputError, match=r"^n is 'x'; it must be an int\.$"):
        check_kind("n", "x", int, "an int")
    for value in (3, Tensor, None):
        with pytest.raises(InputError, match=r"; it must be a tensor\.$"):
            check_method("executor", value, "item", "a tensor")


def test_arrays():
    check_array("theta", np.zeros((2, 3)), (2, 3))
    for value in (np.zeros(3), np.zeros((2, 3), complex), np.zeros((2, 3), bool), [[0] * 3] * 2, None):
        with pytest.raises(InputError, match=r"^theta is .*; it must be an array of numbers of shape \(2, 3\)\.$"):
            check_array("theta", value, (2, 3))
    assert as_array([1, 2]).tolist() == [1, 2]
    for value in (["a"], [1, [2]], None, raising("array"), np.zeros(2, complex), np.array([None])):
        assert as_array(value) is None


def test_a_value_is_shown_on_one_line_and_not_at_length():
    assert show("a\nb") == "'a\\nb'"
    assert "\n" not in show(np.zeros((3, 3)))
    assert show("x" * 1000) == f"'{'x' * (LONGEST_VALUE - 1)}..."
    assert show(raising("repr")).startswith("<") and show(10**5000).startswith("<int object")


def test_no_odd_value_passes_a_check_of_another_kind():
    for value in odd_values():
        if not any(value is number for number in NUMBERS) and not isinstance(value, np.ndarray):
            assert as_number(value, -math.inf, math.inf) is None, show(value)
