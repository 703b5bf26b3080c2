"""Texts in columns."""

import pytest

from numasync.tools.text import align, fold

ROWS = [["name", "n", "x"], ["a", "10", "2.5"], ["", "7", ""]]


@pytest.mark.parametrize(
    "left, lines",
    [
        (None, ["name  n   x", "a     10  2.5", "      7"]),
        ((0,), ["name   n    x", "a     10  2.5", "       7"]),
        ((), ["name   n    x", "   a  10  2.5", "       7"]),
    ],
)
def test_columns_have_one_width_and_a_side(left, lines):
    assert align(ROWS, left) == lines


@pytest.mark.parametrize(
    "width, lines",
    [
        (13, ["name   n    x", "a     10  2.5", "       7"]),
        (12, ["name   n", "    x", "a     10", "  2.5", "       7", ""]),
        (1, ["name", "   n", "    x", "a", "  10", "  2.5", "", "   7", ""]),
    ],
)
def test_a_row_that_is_too_wide_takes_several_lines(width, lines):
    assert fold(ROWS, (0,), width) == lines
