"""Features and label: every column exists, and none can see its own outcome."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.errors import SpecError
from headrace.located import Document, Key, Problem
from headrace.spec import columns
from headrace.spec.features import DECAYED, NOT_A_NUMBER, WITHOUT_COLUMN, Features, Label, Last, Window
from headrace.spec.paths import UNKNOWN
from headrace.spec.pipeline import Pipeline
from headrace.spec.sql import checked

_OF_PARTS = ("struct", "array")
_NO_NUMBERS = (*_OF_PARTS, "string", "date", "binary")


def check_features(pipeline: Pipeline, document: Document) -> list[Problem]:
    """All problems of ``features``, ``label``, ``model`` and ``scoring``."""
    spec = pipeline.spec
    problems = list(_check_sections(pipeline, document))
    if spec.features is None:
        return problems
    tables = {  # the types of protected columns, and what may be done with those, are check_protected_use's
        name: columns.clear(stream, pipeline.schemas[name], spec.references)
        | {path[0]: UNKNOWN for path in stream.protections if len(path) == 1}
        for name, stream in spec.streams.items()
    }
    problems += _check_requests(spec.features, spec.label, tables, document)
    for kind in ("last", "windows"):
        for index, part in enumerate(getattr(spec.features, kind)):
            problems += _check_part(part, spec.features, spec.label, tables, document, ("features", kind, index))
    if spec.label is not None:
        problems += _check_label(spec.label, tables, document)
    return problems


def _check_sections(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    spec = pipeline.spec
    if spec.model and not (spec.features and spec.label):
        yield document.problem("a model needs the sections 'features' and 'label'", "model")
    if spec.scoring and not spec.model:
        yield document.problem("scoring needs the section 'model'", "scoring")


def _check_requests(
    features: Features, label: Label | None, tables: dict[str, dict[str, str]], document: Document
) -> Iterable[Problem]:
    key: Key = ("features", "requests")
    if features.requests not in tables:
        yield document.problem(_no_stream(features.requests, tables), *key)
        return
    known = tables[features.requests]
    if features.id not in known:
        yield document.problem(f"no column {features.id!r} in stream {features.requests!r}", "features", "id")
    if label is not None and label.stream == features.requests:
        yield document.problem(
            f"the requests of stream {features.requests!r} carry their own outcome, which label reads from the same stream; "
            "send requests on a topic of their own",
            *key,
        )
    for name, sql in features.columns.items():
        yield from _check_sql(sql, known, document, ("features", "columns", name))
    names = list(features.names)
    for twice in sorted({name for name in names if names.count(name) > 1}):
        yield document.problem(f"feature {twice!r} is declared twice", "features")


def _check_part(
    part: Last | Window, features: Features, label: Label | None, tables: dict[str, dict[str, str]], document: Document, key: Key
) -> Iterable[Problem]:  # fmt: skip
    if part.stream not in tables:
        yield document.problem(_no_stream(part.stream, tables), *key, "stream")
        return
    known = tables[part.stream]
    if part.where is not None:
        yield from _check_sql(part.where, known, document, (*key, "where"))
    for column in part.by:
        for stream in dict.fromkeys((part.stream, features.requests)):
            kind = tables.get(stream, {}).get(column, UNKNOWN)
            if stream in tables and column not in tables[stream]:
                yield document.problem(f"no key column {column!r} in stream {stream!r}", *key, "by")
            elif kind.startswith(_OF_PARTS):
                yield document.problem(
                    f"key column {column!r} of stream {stream!r} is {_a(kind)}; derive a single value from it "
                    "in normalize",
                    *key, "by",
                )  # fmt: skip
    if label and part.stream == label.stream and {label.by, features.id} & set(part.by):
        yield document.problem(
            f"a feature keyed by {label.by!r} over stream {part.stream!r} could see its own outcome, which that stream tells; "
            "key it by something that many requests share",
            *key, "by",
        )  # fmt: skip
    inner = "columns" if isinstance(part, Last) else "aggregates"
    wanted = ((n, "last", c) for n, c in part.columns.items()) if isinstance(part, Last) else (
        (n, a, c) for n, (a, c) in part.aggregates.items()
    )  # fmt: skip
    for name, aggregate, column in wanted:
        if column is None:
            continue
        if column not in known:
            yield document.problem(f"no column {column!r} in stream {part.stream!r}", *key, inner, name)
        elif aggregate not in NOT_A_NUMBER and known[column].startswith(_NO_NUMBERS):
            yield document.problem(
                f"column {column!r} is {_a(known[column])}, and {aggregate} needs a number; derive one from it in "
                "normalize, or take count, rate, distinct or since",
                *key, inner, name,
            )  # fmt: skip
        elif aggregate == "distinct" and known[column].startswith(_OF_PARTS):
            yield document.problem(
                f"column {column!r} is {_a(known[column])}; distinct counts single values",
                *key,
                inner,
                name,
            )
    if isinstance(part, Window):
        for name, (aggregate, column) in part.aggregates.items():
            if column is None and aggregate not in WITHOUT_COLUMN:
                yield document.problem(f"{aggregate} needs a column: [{aggregate}, COLUMN]", *key, inner, name)
            if aggregate in DECAYED and part.half_life is None:
                yield document.problem(f"{aggregate} needs the window's half_life, such as 30m", *key, inner, name)


def _check_label(label: Label, tables: dict[str, dict[str, str]], document: Document) -> Iterable[Problem]:
    if label.stream not in tables:
        yield document.problem(_no_stream(label.stream, tables), "label", "stream")
        return
    known = tables[label.stream]
    if label.by not in known:
        yield document.problem(f"no column {label.by!r} in stream {label.stream!r}", "label", "by")
    conditions = [("where", label.where), ("positive", label.positive), ("value", label.value)]
    for name, sql in conditions:
        if sql is not None:
            yield from _check_sql(sql, known, document, ("label", name))
    for name, sql in label.excluded.items():
        yield from _check_sql(sql, known, document, ("label", "excluded", name))
    if label.group is not None and label.group not in known:
        yield document.problem(f"no column {label.group!r} in stream {label.stream!r}", "label", "group")


def _check_sql(sql: str, known: Iterable[str], document: Document, key: Key) -> Iterable[Problem]:
    try:
        checked(sql, known)
    except SpecError as error:
        yield document.problem(str(error), *key)


def _a(kind: str) -> str:
    """A Spark type in a sentence."""
    name = kind.partition("<")[0]
    return f"an {name}" if name == "array" else f"a {name}"


def _no_stream(name: str, known: Iterable[str]) -> str:
    return f"unknown stream {name!r}; expected one of {', '.join(known)}"
