"""The results as a page of Markdown, for the documentation."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numasync.tools.bench.peers.python import versions_line
from numasync.tools.bench.report import COLUMNS, format_cell, machine_lines

INTRODUCTION = """\
numasync beside what a user would take instead, on the same machine and the same number of cores. Each program runs in a
process of its own with the same network. All programs of one environment are started, and then they take turns of a few
seconds: one trains while the others wait. A step is one action of one environment, on Atari 4 frames. Steps per second
include the updates and exclude compilation. They are medians over the turns. A ratio is numasync's steps per second
over the peer's in the same round of turns: the median, the lowest and the highest.

The programs are in [numasync/tools/bench/peers/programs/](../../numasync/tools/bench/peers/programs/__init__.py). Each
has the fastest of a few settings that were tried, and where it makes far fewer updates also settings that make more.
Only speed is compared: no program is trained to a score here. `pip install ".[peers]"` installs what they need."""


def page_lines(result: Mapping[str, Any], titles: Mapping[str, str], command: str) -> Iterator[str]:
    """Yield the lines of the page.

    result   what `compare_with_peers` returns
    titles   {name of a section: its title}
    command  the command that has measured
    """
    options = result["options"]
    yield from ("# Peers", "", "<!-- Written by the command below; do not edit. -->", "", INTRODUCTION, "")
    yield from (f"Measured on {time.strftime('%Y-%m-%d')} by `{command}`:", "")
    for line in (*machine_lines(result["machine"]), versions_line(result["peers_python"])):
        yield f"- {line}"
    yield f"- turns for each program: {options['repetitions']} of {options['seconds'] / options['repetitions']:g} s"
    for name, title in titles.items():
        yield from ("", f"## {title}", "")
        if result[name]["rows"]:
            yield from table_lines(result[name]["rows"])
    yield from ("", "## What is not the same work", "")
    yield from (f"- {note}" for name in titles for note in result[name]["notes"])


def table_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown. rows: one row or more, with the same keys each."""
    keys = list(rows[0])
    yield f"| {' | '.join(COLUMNS[key][0] for key in keys)} |"
    yield "|" + "---|" * len(keys)
    for row in rows:
        yield f"| {' | '.join(format_cell(key, row[key]) for key in keys)} |"
