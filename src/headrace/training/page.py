"""A page of headings, sentences, tables and pictures, as Markdown and as one HTML file that fetches nothing."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PASSED, REFUSED = "passed", "refused"
_MARKS = {PASSED: "✔ passed", REFUSED: "✘ refused"}
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(?:e-?\d+)?( %)?")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c62828; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
div.table { overflow-x: auto; } table { border-collapse: collapse; margin: .25rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.passed, .refused { font-weight: 600; white-space: nowrap; } .passed { color: var(--good); } .refused { color: var(--bad); }
figure { margin: 1rem 0; } img { max-width: 100%; background: #fff; border-radius: .4rem; }
pre { background: #8881; padding: .6rem .8rem; border-radius: .4rem; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Sentence:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Code:
    """A command to type."""

    text: str


@dataclass(frozen=True)
class Grid:
    """A table. A cell that is ``passed`` or ``refused`` is shown as a verdict."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A plot: ``file`` is its name beside the Markdown page, ``said`` what it shows."""

    file: str
    said: str
    figure: Figure


Block = Heading | Sentence | Code | Grid | Picture


def as_markdown(title: str, blocks: Iterable[Block]) -> str:
    """The page as Markdown; pictures are links to their files."""
    return "\n\n".join([f"# {_plain(title)}", *(_markdown(block) for block in blocks)]) + "\n"


def as_html(title: str, blocks: Iterable[Block]) -> str:
    """The page as HTML, with its pictures inside; no script, nothing fetched."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {_plain(block.text)}"
    if isinstance(block, Sentence):
        return _plain(block.text)
    if isinstance(block, Code):
        return f"    {block.text}"
    if isinstance(block, Picture):
        return f"![{_plain(block.said)}]({block.file})"
    lines = [block.header, ["---"] * len(block.header), *block.rows]
    return "\n".join("| " + " | ".join(_MARKS.get(cell, _plain(cell)) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: its own signs escaped, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split())) if text.strip("-") else text


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{escape(block.text)}</h2>"
    if isinstance(block, Sentence):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Code):
        return f"<pre>{escape(block.text)}</pre>"
    if isinstance(block, Picture):
        data = base64.b64encode(png(block.figure)).decode()
        return f'<figure><img alt="{escape(block.said)}" src="data:image/png;base64,{data}"></figure>'
    if not any(block.header):  # names and what they stand for
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in block.rows)
        return f'<div class="table"><table>{rows}</table></div>'
    header = "".join(f"<th>{escape(cell)}</th>" for cell in block.header)
    rows = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in block.rows)
    return f'<div class="table"><table><tr>{header}</tr>{rows}</table></div>'


def _cell(text: str) -> str:
    if text in _MARKS:
        return f'<td class="{text}">{_MARKS[text]}</td>'
    return f'<td class="number">{text}</td>' if _NUMBER.fullmatch(text) else f"<td>{escape(text)}</td>"
