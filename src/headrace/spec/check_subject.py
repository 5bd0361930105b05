"""``subject``: each path leads to a value of the record by which a person can be found again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.located import Document, Key, Problem
from headrace.spec.paths import Path, below, kind_at, parse_path, written
from headrace.spec.protect import Encrypt, Pseudonym
from headrace.spec.stream import Stream

_FITTING = ("string", "int", "bigint")


def check_subject(stream: Stream, columns: Mapping[str, str], document: Document, key: Key) -> Iterable[Problem]:
    """``columns``: column to type, after normalize."""
    for kind, text in stream.subject.items():
        path = parse_path(text)
        if path is None:
            wrong = f"{text!r} is no path; write a column, or a path such as customer.email or contacts[].email"
        else:
            wrong = _wrong(path, stream, columns)
        if wrong:
            yield document.problem(wrong, *key, kind)


def _wrong(path: Path, stream: Stream, columns: Mapping[str, str]) -> str | None:
    text, kind = written(path), kind_at(columns, path)
    if path[0] in stream.normalize.derive:
        return f"{text!r} is derived, and a quarantined record is searched as it was sent; name a field of the schema"
    if kind is None:
        return f"no column {text!r}; expected one of {', '.join(sorted(columns))}, or a path below one"
    if kind not in _FITTING:
        return f"{text!r} is a {kind}; a person is named by a text or a whole number"
    protection = stream.protections.get(path, "public")
    whole = below(path, stream.closed)
    if whole is not None:
        return (
            f"{text!r} is protected as a part of {written(whole)!r}, in which nobody is found again; protect its parts"
        )
    if protection != "public" and not isinstance(protection, Pseudonym | Encrypt):
        return (
            f"what is written in place of {text!r} does not tell one person from another; a pseudonym or encrypt does"
        )
    return None
