"""How the source is written: annotated, in short lines, functions and files, in plain words."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.source import MODULES, PACKAGE, annotated_functions, functions

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "run.py"])
PROSE = [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").rglob("*.md")) if "reports" not in p.parts)]

LONGEST_LINE, LONGEST_FUNCTION, LONGEST_FILE = 120, 60, 400
FORMATTER_OFF = 8

# What a reader must read twice, and this project's own words for what the field has a word for. Regular expressions.
BANNED = (
    "those of",
    "the former",
    "of which",
    "so many",
    "as many as",
    "who wants",
    "beside the training",
    "sidelines?",
    r"rehears\w*",
    "seated",
    "twins?",
    "contests?",
    "emitters?",
    "rectified(?! linear)",
)
BANNED_WORDS = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)

every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) for each string and each run of comments on lines that follow one another."""
    comments: list[tuple[int, str]] = []
    texts = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if comments and token.start[0] > comments[-1][0] + 1:
                yield comments[0][0], " ".join(text for _, text in comments)
                comments = []
            comments.append((token.start[0], token.string.lstrip("# ")))
        elif token.type in texts:
            yield token.start[0], token.string
    if comments:
        yield comments[0][0], " ".join(text for _, text in comments)


def banned_words(text: str) -> list[str]:
    return BANNED_WORDS.findall(" ".join(text.split()))


@pytest.mark.parametrize("module", MODULES)
def test_every_function_that_is_no_kernel_is_annotated(module):
    missing = []
    for function in annotated_functions(module):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bare = [a.arg for a in named if a and not a.annotation and a.arg not in ("self", "cls")]
        if bare or not function.returns:
            missing.append(f"line {function.lineno}: {function.name}({', '.join(bare)})")
    assert not missing


@every_source
def test_functions_are_short(path):
    tree = ast.parse(path.read_text())
    assert not [f.name for f in functions(tree) if f.end_lineno - f.lineno + 1 > LONGEST_FUNCTION]


@every_source
def test_lines_and_files_are_short(path):
    lines = path.read_text().splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]
    assert len(lines) <= LONGEST_FILE


def test_the_formatter_is_rarely_switched_off():
    mark = "# fmt: " + "skip"
    assert sum(path.read_text().count(mark) for path in SOURCES) <= FORMATTER_OFF


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_source_has_no_banned_words(path):
    found = [(line, word) for line, text in prose_of(path.read_text()) for word in banned_words(text)]
    assert not found


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_documentation_has_no_banned_words(path):
    assert not banned_words(path.read_text())


def test_the_check_of_words_reads_strings_and_comments():
    source = "# two, those\n# of them; the\n# former\nx = 'a twin'\ny = twin  # entwined\n"
    assert [banned_words(text) for _, text in prose_of(source)] == [["twin"], ["those of", "the former"], []]
