"""The page as text, for a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from numasync.tools.explain.check import Check
from numasync.tools.explain.content import Section, Table
from numasync.tools.text import fold

WIDTH = 80


def as_text(title: str, summary: str, sections: Sequence[Section], checks: Sequence[Check]) -> str:
    """Return the page as lines of 80 columns at most."""
    lines = [title, "=" * len(title), "", *wrap(summary)]
    for section in sections:
        heading = f"{section.number}. {section.title}"
        lines += ["", heading, "-" * len(heading), *section_lines(section)]
        own = [check for check in checks if check.section == section.number]
        lines += table_lines(check_table(own)) if own else []
    return "\n".join(lines)


def check_table(checks: Sequence[Check]) -> Table:
    """Return what the checks of a section have found."""
    rows = [[c.quantity, f"{c.difference:.1e}", f"{c.allowed:.1e}", "" if c.passed else "WRONG"] for c in checks]
    return Table(["checked against nn/reference.py", "largest difference", "allowed", ""], rows)


def section_lines(section: Section) -> Iterator[str]:
    """Yield the lines of a section below its heading."""
    for paragraph in section.words:
        yield from (*wrap(paragraph), "")
    for equation in section.equations:
        for line in equation.splitlines():
            yield from wrap(line, "    ", "        ")
        yield ""
    for table in section.tables:
        yield from (*wrap(table.caption), *table_lines(table), "")


def wrap(text: str, first: str = "", other: str = "") -> list[str]:
    """Return a text as lines. first, other: what they begin with."""
    # Spaces inside an equation that fits stay as they are.
    if len(first + text) <= WIDTH:
        return [first + text] if text else []
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=other, break_on_hyphens=False)


def table_lines(table: Table) -> list[str]:
    """Return the lines of a table. A row takes several lines where one would be too wide."""
    return [f"  {line}" for line in fold([table.header, *table.rows], table.left, WIDTH - 2)]
