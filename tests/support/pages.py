"""Pages of README and docs: their Python blocks, and a process that runs them from top to bottom.

The convention: the ```python blocks of a page run in order, in one namespace. A ```text block that directly follows a
python block is exactly what this block prints.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
TIMEOUT = 240  # seconds; a cold compile on a busy machine

# What a script prints where a block begins. Processes that import the script again do not print it.
MARK = "\x1e"
PRINT_MARK = f'print({MARK!r}, end="", flush=True) if __name__ == "__main__" else None'


class Block(NamedTuple):
    """A python block. line: of its fence, from 1 on. printed: the text block that follows directly, or None."""

    line: int
    code: str
    printed: str | None


class Ran(NamedTuple):
    """What became of a page. outputs: what each block has printed."""

    code: int
    errors: str
    outputs: list[str]


def blocks_of(text: str) -> list[Block]:
    """Return the python blocks of a page."""
    fences, blocks = list(FENCE.finditer(text)), []
    for fence, after in zip(fences, [*fences[1:], None]):
        if fence[1] == "python":
            follows = after and after[1] == "text" and not text[fence.end() : after.start()].strip()
            blocks.append(Block(text.count("\n", 0, fence.start()) + 1, fence[2], after[2] if follows else None))
    return blocks


def code_of(page: Path) -> str:
    """Return the code of all python blocks of a page."""
    return "".join(block.code for block in blocks_of(page.read_text()))


def script_of(text: str) -> str:
    """Return the code of a page with each line at its place, so that a traceback names the line of the page."""
    lines = [""] * text.count("\n")
    for block in blocks_of(text):
        code = block.code.splitlines()
        lines[block.line - 1 : block.line + len(code)] = [PRINT_MARK, *code]
    return "\n".join(lines)


def run_page(text: str, folder: Path, name: str) -> Ran:
    """Run the python blocks of a page in a new process. folder: where it runs. name: of its script, in this folder."""
    (folder / name).write_text(script_of(text))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return Ran(done.returncode, done.stderr, done.stdout.split(MARK)[1:])
