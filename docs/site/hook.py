"""A hook of MkDocs: the navigation from docs/index.md, and links that lead out of docs/.

Each `- [Title](page.md)` below a heading of docs/index.md is an entry of the navigation. On GitHub a page may link to
any file of the repository, such as `../numasync/cli.py`. The site has a page for each file that is linked so, in the
folder `source`. A file of Python is shown as it is.
"""

import html
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs"
SOURCE = "source"  # the folder of the site for files outside docs/

HEADING = re.compile(r"^(#+) (.+)$")
ENTRY = re.compile(r"^( *)- \[([^\]]+)\]\(([^)\s]+\.md)\)")
# A fenced block, which has no links, or the target of a link.
LINK = re.compile(r"^```.*?^```$|(?<=\]\()([^()\s]+)(?=\))", re.M | re.S)
# Code with a \\| in a line of a table. GitHub shows it as |, MkDocs as it is written.
CODE_WITH_BAR = re.compile(r"`([^`\n]*\\\|[^`\n]*)`(?=.*\|$)", re.M)
# Not searched, because the pages about it are. The text takes the room of the navigation.
FRONT = "---\nsearch:\n  exclude: true\nhide:\n  - navigation\n  - toc\n---\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation."""
    config.nav = [{"Home": "index.md"}, *navigation((ROOT / DOCS / "index.md").read_text(encoding="utf-8"))]
    return config


def navigation(index: str) -> list[dict[str, Any]]:
    """Return the navigation of MkDocs: the headings of an index that have entries below them, with these.

    index: the text of a page. An entry that is indented belongs to the section of the entry above it.
    """
    tree: list[dict[str, Any]] = []
    open_lists: dict[int, list[dict[str, Any]]] = {1: tree}  # by the depth of a heading
    depth = 1
    for line in index.splitlines():
        heading, entry = HEADING.match(line), ENTRY.match(line)
        if heading and len(heading[1]) > 1:
            depth = len(heading[1])
            open_lists[depth] = []
            open_lists[depth - 1].append({heading[2]: open_lists[depth]})
        elif entry and entry[1]:
            ((title, page),) = open_lists[depth].pop().items()
            pages = [{title: page}] if isinstance(page, str) else page
            open_lists[depth].append({title: [*pages, {entry[2]: entry[3]}]})
        elif entry:
            open_lists[depth].append({entry[2]: entry[3]})
    return pruned(tree)


def pruned(tree: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a navigation without the sections that have no page."""
    kept = []
    for entry in tree:
        ((title, value),) = entry.items()
        value = value if isinstance(value, str) else pruned(value)
        kept += [{title: value}] if value else []
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside docs/ that a page links to, and for each that these link to."""
    waiting = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    known = set(waiting)
    while waiting:
        path = waiting.pop()
        if path.endswith(".md"):
            found = [target for target in linked(path) if site_uri(target).startswith(f"{SOURCE}/")]
            waiting += [target for target in dict.fromkeys(found) if target not in known]
            known.update(found)
        if site_uri(path).startswith(f"{SOURCE}/"):
            files.append(File.generated(config, site_uri(path), content=source_page(path)))
    rename_readmes(files, config)
    return files


def rename_readmes(files: Files, config: MkDocsConfig) -> None:
    """Let a README.md be a README.html. MkDocs makes an index.html of it, also where there is one already."""
    for file in files.documentation_pages():
        if file.src_uri.endswith("README.md"):
            file.dest_uri = file.url = file.src_uri.removesuffix(".md") + ".html"
            beside = file.src_uri.removesuffix("README.md") + "index.html"
            if (ROOT / DOCS / beside).exists():
                page = File(beside, config.docs_dir, config.site_dir, config.use_directory_urls)
                page.inclusion = InclusionLevel.INCLUDED
                files.append(page)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let the links of a page lead to pages of the site."""
    place = page.file.src_uri
    if place == "index.md":
        page.meta["hide"] = ["navigation"]  # it has one entry there
    if not place.startswith(f"{SOURCE}/"):
        markdown = with_links(markdown, f"{DOCS}/{place}")
    # GitHub renders the text inside; MkDocs renders it where it is told to.
    markdown = markdown.replace("<details>", '<details markdown="1">')
    return CODE_WITH_BAR.sub(code_in_html, markdown)


def code_in_html(match: re.Match[str]) -> str:
    """Return code in the cell of a table, where a | would end the cell."""
    return f"<code>{html.escape(match[1]).replace(chr(92) + '|', '&#124;')}</code>"


def source_page(path: str) -> str:
    """Return the page that shows a file of the repository."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return FRONT + with_links(text, path)
    language = Path(path).suffix.removeprefix(".") or "text"
    return f"{FRONT}# {path}\n\n````{language}\n{text}````\n"


def with_links(text: str, path: str) -> str:
    """Return a page whose links to files of the repository lead to pages of the site. path: of the page."""
    here = posixpath.dirname(site_uri(path))

    def changed(target: str, rest: str) -> str:
        return posixpath.relpath(site_uri(target), here) + rest

    return replace_links(text, path, changed)


def linked(path: str) -> Iterator[str]:
    """Yield the files of the repository that a page links to. path: of the page, from the root."""
    found: list[str] = []
    replace_links((ROOT / path).read_text(encoding="utf-8"), path, lambda target, rest: found.append(target) or "")
    yield from found


def replace_links(text: str, path: str, changed: Callable[[str, str], str]) -> str:
    """Return a page with `changed(target, rest)` for each link to a file of the repository.

    path: of the page, from the root. target: of the link, from the root. rest: its #anchor, or nothing.
    """

    def replace(match: re.Match[str]) -> str:
        link, sharp, anchor = (match[1] or "").partition("#")
        if not link or ":" in link:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        return changed(target, sharp + anchor) if (ROOT / target).is_file() else match[0]

    return LINK.sub(replace, text)


def site_uri(path: str) -> str:
    """Return where the site has a file of the repository: its source path there. Paths are from the roots."""
    if path.startswith(f"{DOCS}/") and not path.endswith(".py"):
        return path.removeprefix(f"{DOCS}/")
    return f"{SOURCE}/{path}" if path.endswith(".md") else f"{SOURCE}/{path}.md"
