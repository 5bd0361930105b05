"""Columns that nobody classified: neither protected nor declared ``public``."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import SpecError
from headrace.located import Document, Problem
from headrace.spec import columns
from headrace.spec.paths import Path, below, leaves, written
from headrace.spec.personal import personal_names
from headrace.spec.pipeline import Pipeline
from headrace.spec.sql import columns_of
from headrace.spec.stream import Stream

REMEDY = "protect it, or declare it public under protect"


def unclassified(stream: Stream, clear: Mapping[str, str]) -> dict[Path, str]:
    """Paths to values, with their types, of which ``protect`` says nothing.

    ``clear``: column to type, as the rules see them. The columns that order the rows are left out: they are always written.
    """
    said = list(stream.protections)
    order = ((stream.event_time,), (stream.known_at,))
    return {
        path: kind
        for path, kind in leaves(clear).items()
        if path not in said and path not in order and below(path, said) is None
    }


def warn_of_unclassified(pipeline: Pipeline, document: Document) -> list[Problem]:
    """A warning for each column that looks personal, or is made from a protected one, and that nobody classified."""
    found: list[Problem] = []
    for name, stream in pipeline.spec.streams.items():
        clear = columns.clear(stream, pipeline.schemas[name], pipeline.spec.references)
        unsaid = unclassified(stream, clear)
        strict = "; its records will be quarantined" if pipeline.strict(name) else ""
        for path, meaning in personal_names(unsaid).items():
            message = f"warning: column {written(path)!r} of stream {name!r} looks like {meaning}; {REMEDY}{strict}"
            found.append(document.problem(message, "streams", name, "protect"))
        for column, source in made_from_protected(stream).items():
            if (column,) in unsaid:
                message = f"warning: column {column!r} is made from {source!r}, which is protected; {REMEDY}"
                found.append(document.problem(message, "streams", name, "normalize", "derive", column))
    return found


def made_from_protected(stream: Stream) -> dict[str, str]:
    """Derived columns with a protected column that they are computed from."""
    protected = {path[0] for path in stream.closed}
    found: dict[str, str] = {}
    for column, sql in stream.normalize.derive.items():
        try:
            used = sorted(columns_of(sql) & protected)
        except SpecError:  # said where the expression itself is checked
            continue
        if used:
            found[column] = used[0]
    return found
