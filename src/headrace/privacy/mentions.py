"""Looking for identifiers in bytes that nobody can parse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_TOKENS = (
    re.compile(r'"((?:[^"\\]|\\.)*)"?'),
    re.compile(r"[^\s\"',:;<>(){}\[\]]+"),
    re.compile(r"\+?\d[\d\s().\-/]{5,40}\d"),
)
"""What stands in quotes, what stands between marks, and numbers that are written in groups."""


def mentions(raw: bytes, values: Iterable[str]) -> bool:
    """Whether the bytes hold one of the values as a word of its own, in UTF-8 or UTF-16, JSON's escapes resolved, in any case."""
    texts = list(_texts(raw))
    return any(_word(value).search(text) for value in values for text in texts)


def tokens(raw: bytes) -> Iterator[str]:
    """What in the bytes may be an identifier."""
    for text in _texts(raw, folded=False):
        for pattern in _TOKENS:
            yield from (match[match.lastindex or 0] for match in pattern.finditer(text))


def well_formed(text: str) -> str:
    """The text with ``U+FFFD`` for half a character (a surrogate without its other one): it has no UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _texts(raw: bytes, *, folded: bool = True) -> Iterator[str]:
    encodings = ("utf-8", "utf-16-le", "utf-16-be") if b"\0" in raw else ("utf-8",)
    for encoding in encodings:
        text = raw.decode(encoding, "replace")
        text = well_formed(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
        yield text.casefold() if folded else text


def _word(value: str) -> re.Pattern[str]:
    """A name at whose ends no other goes on: ``ada@x.org`` is not in ``my.ada@x.org``, nor in ``ada@x.org.uk``."""
    return re.compile(rf"(?<![\w.+@\-]){re.escape(value.strip().casefold())}(?![\w@\-]|\.\w)")
