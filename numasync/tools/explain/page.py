"""The page as one HTML file that loads nothing else."""

import base64
import html
from collections.abc import Iterator, Sequence

from numasync.tools.explain.check import Check
from numasync.tools.explain.content import Picture, Section, Table
from numasync.tools.explain.png import as_png
from numasync.tools.pictures import enlarge

PICTURE_SIDE = 120

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --paper: #ffffff; --box: #f5f7f9;
  --good: #1a7f37; --bad: #cf222e; --above: 214, 95, 0; --below: 0, 114, 178; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --line: #353c45; --paper: #12161b;
  --box: #1b2129; --good: #56d364; --bad: #ff7b72; --above: 255, 150, 60; --below: 90, 180, 240; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem .9rem; margin: 1rem 0; font-size: .92rem; }
a { color: inherit; }
pre { background: var(--box); border-radius: 6px; padding: .6rem .8rem; overflow-x: auto; margin: .6rem 0;
  font: .85rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
figure { margin: 1rem 0; }
figcaption { font-size: .92rem; color: var(--soft); margin-bottom: .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
td.left, th.left { text-align: left; }
table.words td:last-child { white-space: normal; min-width: 8rem; }
@media (max-width: 600px) { th, td { padding: .2rem .4rem; } table { font-size: .8rem; } pre { font-size: .78rem; } }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem; }
.pictures figure { margin: 0; }
.pictures img { display: block; width: 7.5rem; image-rendering: pixelated; border: 1px solid var(--line); }
.checks { margin: .8rem 0; padding: .5rem .8rem; border-left: 3px solid var(--good); background: var(--box);
  font-size: .88rem; }
.checks.wrong { border-color: var(--bad); }
.checks p { margin: 0; } .checks ul { list-style: none; margin: .2rem 0 0; padding: 0; }
.checks li { padding-left: 1.2rem; text-indent: -1.2rem; }
.passed { color: var(--good); font-weight: 600; } .failed { color: var(--bad); font-weight: 600; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
"""


def as_page(title: str, summary: str, sections: Sequence[Section], checks: Sequence[Check], command: str | None) -> str:
    """Return the page as HTML. command: the command line that writes it again; None where there is none."""
    links = "".join(
        f'<a href="#s{section.number}">{section.number}. {escape(section.title)}</a>' for section in sections
    )
    verdict = "passed" if all(check.passed for check in checks) else "failed"
    parts = [part for section in sections for part in section_parts(section, checks)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>",
            f'<body><h1>{escape(title)}</h1><p class="{verdict}">{escape(summary)}</p><nav>{links}</nav>',
            *parts,
            f"<footer>Written by <code>{escape(command)}</code></footer>" if command else "",
            "</body></html>",
            "",
        ]
    )


def escape(text: str) -> str:
    """Return a text for HTML."""
    return html.escape(text, quote=True)


def section_parts(section: Section, checks: Sequence[Check]) -> Iterator[str]:
    """Yield the parts of a section."""
    yield f'<section id="s{section.number}"><h2>{section.number}. {escape(section.title)}</h2>'
    yield from (f"<p>{escape(paragraph)}</p>" for paragraph in section.words)
    yield from (f"<pre>{escape(equation)}</pre>" for equation in section.equations)
    if section.pictures:
        yield f'<div class="pictures">{"".join(map(picture_part, section.pictures))}</div>'
    yield from map(table_part, section.tables)
    own = [check for check in checks if check.section == section.number]
    if own:
        wrong = "" if all(check.passed for check in own) else " wrong"
        checked = "<p>Checked against nn/reference.py:</p>"
        yield f'<div class="checks{wrong}">{checked}<ul>{"".join(map(check_part, own))}</ul></div>'
    yield "</section>"


def picture_part(picture: Picture) -> str:
    """Return a picture with its name. Its pixels are part of the page."""
    content = base64.b64encode(as_png(enlarge(picture.pixels, PICTURE_SIDE))).decode()
    name = escape(picture.name)
    return f'<figure><figcaption>{name}</figcaption><img alt="{name}" src="data:image/png;base64,{content}"></figure>'


def table_part(table: Table) -> str:
    """Return a table. What is wider than the screen scrolls."""
    most = {column: max((abs(float(row[column])) for row in table.rows), default=0.0) for column in table.signed}
    head = "".join(f"<th{side(table, i)}>{escape(name)}</th>" for i, name in enumerate(table.header))
    rows = []
    for row in table.rows:
        columns = (f"<td{side(table, i)}{tint(cell, most.get(i))}>{escape(cell)}</td>" for i, cell in enumerate(row))
        rows.append(f"<tr>{''.join(columns)}</tr>")
    words = ' class="words"' if table.header[-1] == "meaning" else ""
    body = f"<table{words}><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<figure><figcaption>{escape(table.caption)}</figcaption><div class="wide">{body}</div></figure>'


def side(table: Table, column: int) -> str:
    """Return the attribute of a cell that is aligned to the left."""
    return ' class="left"' if column in table.left else ""


def tint(cell: str, most: float | None) -> str:
    """Return the attribute that colours a number by how far it is above or below 0. most: the farthest."""
    if not most or float(cell) == 0:
        return ""
    colour = "above" if float(cell) > 0 else "below"
    return f' style="background: rgba(var(--{colour}), {0.35 * abs(float(cell)) / most:.2f})"'


def check_part(check: Check) -> str:
    """Return what a check has found."""
    mark = '<span class="passed">✓</span>' if check.passed else '<span class="failed">✗</span>'
    found = f"largest difference {check.difference:.1e}, allowed {check.allowed:.1e}"
    return f"<li>{mark} {escape(check.quantity)}: {found}</li>"
