"""`numasync bench --peers`: compare numasync with what a user would take instead, side by side on this machine.

Each peer is a program, and runs in its own process. It may use as many cores as numasync. See `programs/`.
All programs of one environment are started, then they take turns: one trains while the others wait. A ratio is the
median of the ratios within a repetition. The time from the start of a process to the first update is measured twice:
with empty caches of compiled code, and once more with the caches that the first start has filled.
"""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from numasync.errors import unwritable
from numasync.runtime.affinity import cores
from numasync.runtime.files import write_atomically
from numasync.tools.bench import REPETITIONS, SECONDS, parse_options, print_nothing
from numasync.tools.bench.machine import describe_machine
from numasync.tools.bench.peers.comparison import compare
from numasync.tools.bench.peers.page import page_lines
from numasync.tools.bench.peers.python import describe_python, versions_line
from numasync.tools.bench.peers.table import make_pairs
from numasync.tools.bench.report import machine_lines, section_lines

TITLES = {
    "peers": "Peers: steps of all environments together, in turns",
    "starts": "Start-up: seconds from the start of a process to its first update, median",
}


def compare_with_peers(
    python: str | None = None,
    repetitions: int = REPETITIONS,
    seconds: float = SECONDS,
    as_json: bool = False,
    page: str | None = None,
) -> dict[str, Any]:
    """Measure numasync and its peers, print the results, and return them with the machine and the options.

    python       the Python that runs the peers; None: this one
    repetitions  how often every program trains, in turn
    seconds      seconds of training for each number, over all repetitions
    as_json      print one JSON object at the end, and no tables
    page         a file that gets the results as a page of Markdown; None: no file

    Raises InputError for bad input, and WorkerError where numasync itself fails.
    """
    options = parse_options(str(cores()), repetitions, seconds)
    python = python or sys.executable
    versions = describe_python(python)
    if page is not None:
        check_page(page)
    result: dict[str, Any] = {"machine": describe_machine(), "peers_python": versions, "options": options._asdict()}
    say = print_nothing if as_json else print
    say(*machine_lines(result["machine"]), versions_line(versions), sep="\n", flush=True)
    sections = compare(make_pairs(cores()), python, options, lambda text: say(text, flush=True))
    for name, title in TITLES.items():
        result[name] = sections[name]
        say(f"\n{title}", *section_lines(sections[name]), sep="\n", flush=True)
    if page is not None:
        lines = page_lines(result, TITLES, f"numasync {shlex.join(sys.argv[1:])}")
        write_atomically(page, lambda file: file.write("\n".join([*lines, ""]).encode()))
    if as_json:
        print(json.dumps(result, indent=2), flush=True)
    return result


def check_page(path: str) -> None:
    """Raise FileError where a file cannot be written, before minutes are spent on what it would hold."""
    try:
        with open(Path(path), "ab"):
            pass
    except OSError as error:
        raise unwritable(path, error) from error
