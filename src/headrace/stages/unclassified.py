"""Columns that nobody classified: which of them look personal, by name or by value, and what becomes of them under
``privacy: strict``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from headrace.privacy.nested import anywhere, put, replaced, taken, type_at
from headrace.privacy.redact import meaning_of_text
from headrace.privacy.worker import text_function
from headrace.spec import columns
from headrace.spec.paths import ITEMS, Path, written
from headrace.spec.personal import personal_names
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Pattern
from headrace.spec.unclassified import unclassified

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_FOUND = "__personal_"


@dataclass(frozen=True)
class Unclassified:
    """Paths of a stream that ``protect`` says nothing of."""

    by_name: Mapping[Path, str]
    """Those whose name looks personal, with what it looks like."""
    texts: tuple[Path, ...]
    """The other texts."""

    @property
    def columns(self) -> set[str]:
        """Columns with a part whose name looks personal."""
        return {path[0] for path in self.by_name}


def find_unclassified(pipeline: Pipeline, stream: str) -> Unclassified:
    """What a stream's ``protect`` leaves open."""
    spec = pipeline.spec.streams[stream]
    unsaid = unclassified(spec, columns.clear(spec, pipeline.schemas[stream], pipeline.spec.references))
    by_name = personal_names(unsaid)
    return Unclassified(by_name, tuple(path for path in unsaid if path not in by_name))


def with_findings(events: DataFrame, *, left_open: Unclassified) -> DataFrame:
    """The same rows with, for each text, what was found in it (``email``, ...; an array where it is one), or null."""
    found = {
        f"{_FOUND}{number}": text_function(lambda: meaning_of_text, steps=path[1:])(taken(F.col(path[0]), path[1:]))
        for number, path in enumerate(left_open.texts)
        if isinstance(type_at(events.schema, path), StringType)
    }
    return events.withColumns(found) if found else events


def findings(events: DataFrame, *, left_open: Unclassified) -> dict[Path, Column]:
    """By path: the column of :func:`with_findings`."""
    named = {f"{_FOUND}{number}": path for number, path in enumerate(left_open.texts)}
    return {named[name]: F.col(name) for name in events.columns if name in named}


def privacy_reasons(events: DataFrame, *, left_open: Unclassified) -> Column:
    """``array<string>``: ``privacy:unclassified:FIELD`` for each field that looks personal and has a value."""
    present = {path: is_there(path) for path in left_open.by_name}
    present |= {path: was_found(found, path) for path, found in findings(events, left_open=left_open).items()}
    reasons = [F.when(there, F.lit(f"privacy:unclassified:{written(path)}")) for path, there in present.items()]
    return F.array_compact(F.array(*reasons)) if reasons else F.array().cast("array<string>")


def hidden(events: DataFrame, *, left_open: Unclassified) -> DataFrame:
    """The same rows without the values that looked personal, and without the findings: a quarantined row is not clear either."""
    changed: dict[str, Column] = {}
    for path in left_open.by_name:
        column = changed.get(path[0], F.col(path[0]))
        changed[path[0]] = replaced(column, path[1:], lambda leaf: F.when(F.lit(False), leaf))
    for path, found in findings(events, left_open=left_open).items():
        column = changed.get(path[0], F.col(path[0]))
        changed[path[0]] = put(column, found, path[1:], lambda text, finding: F.when(finding.isNull(), text))
    return events.withColumns(changed).drop(*(name for name in events.columns if name.startswith(_FOUND)))


def is_there(path: Path) -> Column:
    """Whether a row has a value at a path, in any element of the arrays on the way (never null)."""
    return anywhere(F.col(path[0]), path[1:], lambda leaf: leaf.isNotNull())


def was_found(found: Column, path: Path, pattern: Pattern | None = None) -> Column:
    """Whether a path's column of :func:`findings` holds a pattern, or any (never null)."""
    steps = (ITEMS,) * path.count(ITEMS)
    if pattern is None:
        return anywhere(found, steps, lambda leaf: leaf.isNotNull())
    return anywhere(found, steps, lambda leaf: F.coalesce(leaf == pattern, F.lit(False)))
