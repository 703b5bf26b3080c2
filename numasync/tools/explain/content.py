"""The parts that a page is made of: sections with words, equations, tables and pictures."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """A table.

    header   the names of the columns
    rows     the cells, as many in each row
    caption  what stands above it
    left     the numbers of the columns that are aligned to the left
    signed   the numbers of the columns whose colour says how far a number is above or below 0
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: Sequence[int] = (0,)
    signed: Sequence[int] = ()


class Picture(NamedTuple):
    """A picture with a name. pixels: uint8 (height, width, 3)."""

    name: str
    pixels: np.ndarray


class Section(NamedTuple):
    """A section of the page.

    number     what a check names it by
    title      its heading
    words      paragraphs
    equations  texts of one line or more
    tables     what is computed
    pictures   what is seen; a terminal leaves them out
    """

    number: int
    title: str
    words: Sequence[str]
    equations: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def show(number: Any, digits: int = 4) -> str:
    """Return a number as text with some digits that count. Integers have all."""
    return str(number) if isinstance(number, (int, np.integer)) else f"{float(number):.{digits}g}"


def cells(numbers: Iterable[Any], digits: int = 4) -> list[str]:
    """Return numbers as the cells of a row."""
    return [show(number, digits) for number in numbers]
