"""Texts in columns."""

from collections.abc import Collection, Sequence

INDENT = "  "


def align(rows: Sequence[Sequence[str]], left: Collection[int] | None = None) -> list[str]:
    """Return a line for each row, with columns of one width and two spaces between them.

    rows  the cells of one row or more, which have the same number of cells
    left  the numbers of the columns to align to the left, from 0 on; the others are aligned to the right; None aligns
          all columns to the left
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    places = [str.ljust if left is None or i in left else str.rjust for i in range(len(widths))]
    return ["  ".join(place(cell, width) for place, cell, width in zip(places, row, widths)).rstrip() for row in rows]


def fold(rows: Sequence[Sequence[str]], left: Collection[int], width: int) -> list[str]:
    """Return lines as `align` does, but a row takes several lines where one would be wider than `width`.

    Every row breaks before the same columns. Its further lines are indented.
    """
    groups: list[list[int]] = []
    end = width
    for i, cells in enumerate(zip(*rows)):
        needed = max(map(len, cells)) + 2
        if end + needed > width:
            end = -2 if not groups else len(INDENT) - 2
            groups.append([])
        groups[-1].append(i)
        end += needed
    blocks = [
        align([[row[i] for i in group] for row in rows], [at for at, i in enumerate(group) if i in left])
        for group in groups
    ]
    return [f"{INDENT * (at > 0)}{block[i]}".rstrip() for i in range(len(rows)) for at, block in enumerate(blocks)]
