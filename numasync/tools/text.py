"""Texts in columns."""

from collections.abc import Collection, Sequence


def align(rows: Sequence[Sequence[str]], left: Collection[int] | None = None) -> list[str]:
    """Return a line for each row, with columns of one width and two spaces between them.

    rows  the cells of one row or more, which have the same number of cells
    left  the numbers of the columns to align to the left, from 0 on; the others are aligned to the right; None aligns
          all columns to the left
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    places = [str.ljust if left is None or i in left else str.rjust for i in range(len(widths))]
    return ["  ".join(place(cell, width) for place, cell, width in zip(places, row, widths)).rstrip() for row in rows]
