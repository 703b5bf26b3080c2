"""The documentation as a site: it builds without a warning, needs no network, and every page is in its navigation."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, as mkdocs writes it."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", DOCS / "site" / "mkdocs.yml", "-d", folder]
    built = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


class Targets(HTMLParser):
    """The links and the anchors of a page, and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Keep what a tag leads to."""
        given = dict(attributes)
        self.anchors.add(given.get("id"))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("img", "script", "link"):
            self.loads += filter(None, [given.get("src"), given.get("href")])


@pytest.fixture(scope="module")
def pages(site):
    """The Targets of every page, by its path."""
    return {page: Targets(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_links_of_the_site_lead_somewhere(pages):
    missing = []
    for page, targets in pages.items():
        for link in targets.links + targets.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path not in ("", ".") else page
            known = pages[file].anchors if file in pages else set()
            if not file.exists() or (file in pages and parts.fragment and unquote(parts.fragment) not in known):
                missing.append((page.name, link))
    assert not missing


def test_the_site_loads_nothing_from_elsewhere(site, pages):
    assert not [
        load for targets in pages.values() for load in targets.loads if urlsplit(load).scheme not in ("", "data")
    ]
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [url for style in styles for url in re.findall(r"(?:@import|url\()\s*[\"']?(https?:[^\"')]+)", style)]


def test_a_file_of_the_source_is_a_page_of_the_site(site):
    page = site / "source" / "numasync" / "nn" / "reference.py.html"
    assert "def dense_backward" in re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="source/numasync/nn/reference.py.html"' in index and 'href="source/README.html"' in index


def test_a_bar_in_the_code_of_a_table_has_no_backslash(site):
    page = (site / "reference" / "options.html").read_text(encoding="utf-8")
    assert "<code>dict[str, Any] &#124; None</code>" in page and "\\|" not in page


def load(path):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_index():
    listed = re.findall(r"^ *- \[[^\]]+\]\(([^)]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8"), re.M)
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"index.md"}
    assert pages == set(listed) and len(listed) == len(set(listed))


def test_headings_and_entries_of_the_index_make_the_navigation():
    pytest.importorskip("mkdocs")
    index = "# Title\n\n## A\n\n- [One](one.md): first\n  - [Part](part.md)\n\n### B\n\n- [Two](two.md)\n\n## Empty\n"
    assert load(DOCS / "site" / "hook.py").navigation(index) == [
        {"A": [{"One": [{"One": "one.md"}, {"Part": "part.md"}]}, {"B": [{"Two": "two.md"}]}]}
    ]


@pytest.mark.parametrize("page", [page for page in DOCS.rglob("*.md") if "<!-- fill: " in page.read_text("utf-8")])
def test_blocks_of_a_page_say_what_the_package_says(page):
    text = page.read_text(encoding="utf-8")
    assert load(DOCS / "fill.py").filled(text) == text, "run `python docs/fill.py`"


def test_the_state_of_the_results_is_what_its_script_prints():
    printed = subprocess.run(
        [sys.executable, DOCS / "reports" / "state.py"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == (DOCS / "reports" / "state.md").read_text(encoding="utf-8")
