"""README and docs: their links lead somewhere, and the command line takes their commands."""

import re
import shlex
import warnings
from pathlib import Path

import pytest
from support.pages import FENCE, ROOT

from numasync import cli
from numasync.config import validate_options

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^()\s]+)\)")
# A command: the program at the beginning of a text or after what may stand before a command in a shell.
COMMAND = re.compile(r"(?:^|&& |; |do |NUMBA_DISABLE_JIT=1 )\s*((?:numasync|python run\.py)(?= |$)[^;&\n]*)", re.M)
# Words of a page in the place of values, and values for them.
PLACEHOLDERS = {"$seed": "1", "N": "1", "NAME": "a3c", "ID": "Catch-v0", "AGENT": "pong-a3c", "DIR": "run"}
# Files that CONTRIBUTING tells its reader to write.
TO_WRITE = {"NAME", "leaky_relu"}
# Arguments of train that are no options of a run.
NO_OPTIONS = {"command", "out", "config", "from_agent", "quiet", "json_lines"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchor(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@every_page
def test_links_and_pictures_lead_somewhere(page):
    missing = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        path, _, part = target.partition("#")
        if re.match(r"https?:", target):
            continue
        file = page.parent / path if path else page
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M) if file.suffix == ".md" and file.exists() else []
        if not file.exists() or (part and part not in map(anchor, headings)):
            missing.append(target)
    assert not missing


def test_files_that_readme_and_the_docs_name_exist():
    missing = []
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        for name in re.findall(r"\b((?:docs|numasync|tests)/[\w/]+\.\w+)", page.read_text()):
            if not (ROOT / name).exists() and Path(name).stem not in TO_WRITE:
                missing.append((page.name, name))
    assert not missing


def commands_of(text):
    """The commands in the shell blocks, indented lines and inline code of a page."""
    fenced = FENCE.findall(text)
    rest = FENCE.sub("", text)
    indented = re.findall(r"^    (.*)$", rest, re.M)
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", rest)]
    # A verb alone is named, not called.
    called = [code for code in inline if not re.fullmatch(rf"numasync ({'|'.join(cli.VERBS)})", code)]
    texts = [block for language, block in fenced if language == "bash"] + indented + called
    uncommented = [re.sub(r"(^|\s)#.*", "", text, flags=re.M) for text in texts]
    return [command.strip() for code in uncommented for command in COMMAND.findall(code)]


COMMANDS = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}: {command}")
    for page in PAGES
    for command in dict.fromkeys(commands_of(page.read_text()))
    if "[" not in command
]


def test_commands_are_found():
    shell = "```bash\nfor seed in 1; do numasync --seed $seed; done  # numasync --lr\n```\n"
    text = f"`numasync eval\nAGENT` `numasync watch` `numasync.load`\n\n    numasync study lr\n\n{shell}"
    assert commands_of(text) == ["numasync --seed $seed", "numasync study lr", "numasync eval AGENT"]
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_takes_every_command(command, capsys):
    words = shlex.split(command.removeprefix("python run.py").removeprefix("numasync"))
    words = [PLACEHOLDERS.get(word, word) for word in words]
    if not words or words[0] not in (*cli.VERBS, "--help", "--version"):
        words.insert(0, "train")
    try:
        options = vars(cli.parser().parse_args(words))
    except SystemExit as ended:  # --help ends so
        assert ended.code == 0, capsys.readouterr().err
    else:
        assert options.get("old_agent") is None
        if words[0] == "train":
            given = {name: value for name, value in options.items() if name not in NO_OPTIONS}
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # no page has an old name of an option
                validate_options(given)


def test_contributing_has_the_command_of_ci_for_plain_python():
    command = re.search(r"NUMBA_DISABLE_JIT=1 pytest .*", (ROOT / ".ci" / "run").read_text())[0]
    assert f"`{command}`" in (ROOT / "docs" / "CONTRIBUTING.md").read_text()
