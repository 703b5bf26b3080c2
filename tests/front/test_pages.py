"""README and docs: the Python of each page runs, and prints what the page says. `tests/support/pages.py` explains how.

`pytest tests/front/test_pages.py --durations=0` prints the time of each page.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import ROOT, blocks_of, run_page

GUIDE = sorted((ROOT / "docs" / "guide").glob("[0-9]*.md"))
FILES = [ROOT / "README.md", *GUIDE, *sorted((ROOT / "docs" / "howto").glob("*.md"))]
PAGES = {str(file.relative_to(ROOT)): file for file in FILES if blocks_of(file.read_text())}

# Packages that a page needs beyond the required ones.
EXTRAS = {
    "docs/howto/deploy_an_agent.md": ("onnx", "onnxruntime"),
    "docs/howto/studies.md": ("matplotlib",),
    "docs/howto/tuning.md": ("optuna",),
}
# What a run here changes on a page: shorter runs are as good, and a run whose score counts is repeatable.
CHANGES = {
    "docs/howto/deploy_an_agent.md": {"steps=20_000": "steps=2_000"},
    "docs/howto/several_integers.md": {"steps=100_000": "steps=100_000, seed=1, deterministic=True"},
    "docs/howto/studies.md": {"runs=20, jobs=4": "runs=1, jobs=1, steps=2_000"},
    "docs/howto/tuning.md": {"trials=20, steps=50_000": "trials=1, jobs=1, steps=2_000"},
}
# Files that a page writes.
WRITTEN = {"README.md": "cartpole.npz", "docs/howto/callbacks.md": "cartpole.csv"}
# Numbers that a page prints, and the least that they must be.
SCORES = {
    "docs/howto/environments_of_gymnasium.md": (r"^([\d.]+)$", 0.9),
    "docs/howto/several_integers.md": (r"'mean': ([\d.]+).*\n\[2 0\]$", 39),
    "docs/howto/your_own_environment.md": (r"'mean': ([\d.]+)", 40),
}


def needs_compiler(text: str) -> bool:
    """Whether a page uses more of the package than the plain NumPy of the reference."""
    names = []
    for node in ast.walk(ast.parse("".join(block.code for block in blocks_of(text)))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return any(name.startswith("numasync") and not name.startswith("numasync.nn.reference") for name in names)


def parameters() -> list:
    compiled = [name for name, file in PAGES.items() if needs_compiler(file.read_text())]
    return [pytest.param(name, id=name, marks=[pytest.mark.compiled] * (name in compiled)) for name in PAGES]


def page_text(name: str) -> str:
    """Return the text of a page with its changes."""
    text = PAGES[name].read_text()
    for old, new in CHANGES.get(name, {}).items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("name", parameters())
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(tmp_path, name):
    for package in EXTRAS.get(name, ()):
        pytest.importorskip(package)
    text = page_text(name)
    ran = run_page(text, tmp_path, f"{PAGES[name].stem}.py")
    assert (ran.code, ran.errors) == (0, "")
    says = {block.line: block.printed for block in blocks_of(text) if block.printed is not None}
    prints = {block.line: output for block, output in zip(blocks_of(text), ran.outputs, strict=True)}
    assert {line: prints[line] for line in says} == says
    assert name not in WRITTEN or (tmp_path / WRITTEN[name]).exists()
    if name in SCORES:
        pattern, least = SCORES[name]
        assert float(re.search(pattern, "".join(ran.outputs), re.M)[1]) >= least


def test_the_tables_name_pages_that_have_python():
    assert not [name for table in (EXTRAS, CHANGES, WRITTEN, SCORES) for name in table if name not in PAGES]


PAGE = """A page.

```python
x = 1
print("one")
print(x)
```

```text
one
1
```

```bash
python page.py
```

```python
print(x + 1)
```
Words between the two blocks.
```text
not compared
```
"""


def test_blocks_share_a_namespace_and_each_has_its_output(tmp_path):
    assert [block.printed for block in blocks_of(PAGE)] == ["one\n1\n", None]
    assert run_page(PAGE, tmp_path, "page.py") == (0, "", ["one\n1\n", "2\n"])


def test_an_error_names_the_line_of_the_page(tmp_path):
    ran = run_page(PAGE.replace("x + 1", "x / 0"), tmp_path, "page.py")
    assert ran.code == 1 and 'page.py", line 19,' in ran.errors and ran.outputs == ["one\n1\n", ""]
    assert PAGE.splitlines()[19 - 1] == "print(x + 1)"


def function_names(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("chapter", GUIDE, ids=lambda file: file.name)
def test_a_chapter_ends_with_a_function_of_the_package(chapter):
    last = re.fullmatch(r"Now open \[?`(.*?)`\]?(?:\(.*\))?, function `(\w+)`\.", chapter.read_text().splitlines()[-1])
    assert last, chapter.read_text().splitlines()[-1]
    file, function = last.groups()
    assert file.startswith("numasync/") and function in function_names(ROOT / file)


@pytest.mark.parametrize("chapter", GUIDE, ids=lambda file: file.name)
def test_a_chapter_has_a_drawing_exercises_and_answers(chapter):
    text = chapter.read_text()
    assert f"({chapter.stem}.svg)" in text and "## Exercises" in text and "<details>" in text
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")


def test_the_drawings_of_the_guide_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, ROOT / "docs" / "guide" / "draw.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(file.name for file in tmp_path.iterdir()) == [file.with_suffix(".svg").name for file in GUIDE]
