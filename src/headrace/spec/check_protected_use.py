"""Features and labels read the table, so a column that is dropped, encrypted or made a text there can't be what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.errors import SpecError
from headrace.located import Document, Key, Problem
from headrace.spec.features import NOT_A_NUMBER, Last
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Encrypt, Generalize, Mask, Protection, Pseudonym, Redact
from headrace.spec.sql import columns_of

Use = tuple[str, set[str], bool, Key]
"""Stream, columns, whether they are used as numbers, and where that is written."""


def check_protected_use(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All problems of ``features`` and ``label`` with protected columns."""
    for name, used, as_numbers, key in [*_features(pipeline), *_label(pipeline)]:
        stream = pipeline.spec.streams.get(name)
        for (column, *inner), protection in stream.protections.items() if stream else ():
            if column in used and not inner:
                why = _unusable(protection, as_numbers)
                if why:
                    yield document.problem(f"column {column!r} of stream {name!r} {why}", *key)


def _unusable(protection: Protection, as_number: bool) -> str | None:
    if protection == "drop":
        return "is dropped under protect, so no table holds it; protect it otherwise, or leave it out here"
    if isinstance(protection, Encrypt):
        return "is encrypted, and equal values differ; protect it by a pseudonym, or leave it out here"
    text = isinstance(protection, (Pseudonym, Mask, Redact)) or protection == "redact"
    text = text or (isinstance(protection, Generalize) and protection.generalize in ("month", "network", "prefix"))
    return "is a text once protected, and a number is needed; choose another column" if text and as_number else None


def _features(pipeline: Pipeline) -> Iterator[Use]:
    features = pipeline.spec.features
    if features is None:
        return
    yield features.requests, {features.id}, False, ("features", "id")
    for name, sql in features.columns.items():
        yield features.requests, _columns(sql), False, ("features", "columns", name)
    for kind in ("last", "windows"):
        for index, part in enumerate(getattr(features, kind)):
            key: Key = ("features", kind, index)
            for stream in {part.stream, features.requests}:
                yield stream, set(part.by), False, (*key, "by")
            yield part.stream, _columns(part.where), False, (*key, "where")
            if isinstance(part, Last):
                for name, column in part.columns.items():
                    yield part.stream, {column}, True, (*key, "columns", name)
            else:
                for name, (aggregate, column) in part.aggregates.items():
                    yield part.stream, {column or ""}, aggregate not in NOT_A_NUMBER, (*key, "aggregates", name)


def _label(pipeline: Pipeline) -> Iterator[Use]:
    label = pipeline.spec.label
    if label is None:
        return
    yield label.stream, {label.by}, False, ("label", "by")
    for name, sql in [("where", label.where), ("positive", label.positive), ("value", label.value)]:
        yield label.stream, _columns(sql), False, ("label", name)
    yield label.stream, {label.group or ""}, False, ("label", "group")
    for name, sql in label.excluded.items():
        yield label.stream, _columns(sql), False, ("label", "excluded", name)


def _columns(sql: str | None) -> set[str]:
    try:
        return columns_of(sql) if sql else set()
    except SpecError:  # said where the expression itself is checked
        return set()
