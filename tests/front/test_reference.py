"""docs/reference/ is what its generator writes, and names everything that is public."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

import numasync
from numasync.config import RENAMED, Config

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGES = ["api.md", "command_line.md", "options.md", "run_folder.md"]


def words(text):
    """The words of a text. argparse breaks lines of help differently from one version of Python to the next."""
    return text.split()


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder with the pages as the generator writes them now."""
    spec = importlib.util.spec_from_file_location("generate_reference", REFERENCE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("reference")
    module.generate(folder)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_code_says(generated, page):
    assert words((REFERENCE / page).read_text(encoding="utf-8")) == words(
        (generated / page).read_text(encoding="utf-8")
    ), "run `python docs/reference/generate.py`"


def test_there_are_no_other_pages_but_one_of_prose(generated):
    assert sorted(path.name for path in generated.iterdir()) == PAGES
    assert sorted(path.name for path in REFERENCE.glob("*.md")) == sorted([*PAGES, "environments.md"])


def test_every_public_name_is_listed():
    page = (REFERENCE / "api.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\w+)$", page, re.M)
    constants = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert set(numasync.__all__) <= {*headings, *constants}
    assert headings and constants


def test_every_option_and_old_name_is_listed():
    page = (REFERENCE / "options.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert listed == [*(field.name for field in fields(Config)), *RENAMED]
