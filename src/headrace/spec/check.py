"""What a well-formed pipeline file can still get wrong: names that don't exist, types that don't fit, a look into the future."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError, SpecError
from headrace.located import Document, Key, Problem
from headrace.packaged import packaged_file
from headrace.quality.check import check_suite
from headrace.quality.suite import read_suite, row_condition_sql
from headrace.spec import columns
from headrace.spec.check_boosting import check_boosting
from headrace.spec.check_duplicates import check_duplicates
from headrace.spec.check_features import check_features
from headrace.spec.check_gate import check_gate
from headrace.spec.check_kinds import check_kinds
from headrace.spec.check_learners import check_learners
from headrace.spec.check_parameters import check_parameters
from headrace.spec.check_protect import check_domains, check_protect
from headrace.spec.check_protected_use import check_protected_use
from headrace.spec.check_subject import check_subject
from headrace.spec.environment import has_reference
from headrace.spec.kafka_options import problems as option_problems
from headrace.spec.paths import UNKNOWN
from headrace.spec.pipeline import Pipeline
from headrace.spec.places import beside
from headrace.spec.schema_file import RESERVED
from headrace.spec.sql import checked
from headrace.spec.stream import Stream

_LARGEST_TABLE = 512 * 1024 * 1024
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", re.ASCII)


def check_meaning(pipeline: Pipeline, document: Document, environment: Mapping[str, str]) -> list[Problem]:
    """All problems of a file that has the right form."""
    problems = [*_check_connections(pipeline, document, environment), *_check_topics(pipeline, document)]
    problems += _check_references(pipeline, document)
    for name in pipeline.schemas:
        problems += _check_stream(pipeline, name, document)
    problems += check_domains(pipeline, document)
    problems += [*check_gate(pipeline, document), *check_kinds(pipeline, document), *check_learners(pipeline, document)]
    problems += check_boosting(pipeline, document)
    if len(pipeline.schemas) == len(pipeline.spec.streams):
        problems += [*check_features(pipeline, document), *check_protected_use(pipeline, document)]
        problems += check_parameters(pipeline, document)
    return problems


def _check_connections(pipeline: Pipeline, document: Document, environment: Mapping[str, str]) -> Iterable[Problem]:
    written = (document.data.get("kafka") or {}).get("options") or {}
    options = pipeline.spec.kafka.options
    for name, message in option_problems(written, options, folder=pipeline.folder, environment=environment):
        yield document.problem(message, "kafka", "options", name)
    for key in (("mlflow", "tracking_uri"), ("model", "search", "storage")):
        uri = _written(document, key)
        if isinstance(uri, str) and (found := re.search(r"://[^/@:]*:([^/@]+)@", uri)) and not has_reference(found[1]):
            what = ".".join(key)
            yield document.problem(
                f"{what} holds a password in clear; write ${{NAME}} and set it in the environment", *key
            )
    secret = _written(document, ("lineage", "api_key"))
    if isinstance(secret, str) and secret and not has_reference(secret):
        yield document.problem(
            "lineage.api_key holds a secret in clear; write ${NAME} and set it in the environment", "lineage", "api_key"
        )


def _written(document: Document, key: tuple[str, ...]) -> Any:
    """What the file says under a key, before its references are replaced."""
    value = document.data
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _check_topics(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    seen: dict[str, str] = {}
    for name, stream in pipeline.spec.streams.items():
        key = ("streams", name, "topic")
        if not _TOPIC.fullmatch(stream.topic):
            yield document.problem(f"{stream.topic!r} is no topic name: letters, digits, '.', '_' and '-' only", *key)
        if stream.topic in seen:
            yield document.problem(f"topic {stream.topic!r} is already read by stream {seen[stream.topic]!r}", *key)
        seen[stream.topic] = name
    scoring = pipeline.spec.scoring
    if scoring and not _TOPIC.fullmatch(scoring.topic):
        yield document.problem(
            f"{scoring.topic!r} is no topic name: letters, digits, '.', '_' and '-' only", "scoring", "topic"
        )
    if scoring and scoring.topic in seen:
        yield document.problem(
            f"scoring.topic {scoring.topic!r} is the input of stream {seen[scoring.topic]!r}; predictions need their own",
            "scoring", "topic",
        )  # fmt: skip


def _check_references(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    for name, reference in pipeline.spec.references.items():
        key: Key = ("references", name)
        if reference.key not in reference.columns:
            yield document.problem(f"key {reference.key!r} of reference {name!r} is not among its columns", *key, "key")
        if reference.package:
            try:
                packaged_file(reference.package, reference.file)
            except HeadraceError as error:
                yield document.problem(str(error), *key, "file")
            continue
        if not reference.file.lower().endswith((".csv", ".zip")):
            yield document.problem(f"{reference.file!r} is no CSV file: .csv or .zip is expected", *key, "file")
            continue
        try:
            file = beside(pipeline.folder, reference.file)
        except ValueError as error:
            yield document.problem(f"file: {error}", *key, "file")
            continue
        if not file.is_file():
            yield document.problem(f"{file}: no such file", *key, "file")
        elif _unpacked(file) > _LARGEST_TABLE:
            yield document.problem(
                f"{file}: is no zip file, or holds more than {_LARGEST_TABLE // 1024**2} MiB", *key, "file"
            )


def _unpacked(file: Path) -> float:
    """Bytes of a CSV file, or of all that a zip file says that it holds (no reader takes more)."""
    if file.suffix.lower() != ".zip":
        return file.stat().st_size
    try:
        with zipfile.ZipFile(file) as packed:
            return sum(one.file_size for one in packed.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return float("inf")


def _check_stream(pipeline: Pipeline, name: str, document: Document) -> Iterable[Problem]:
    stream, schema = pipeline.spec.streams[name], pipeline.schemas[name]
    key: Key = ("streams", name)
    yield from _check_normalize(stream, schema.columns, document, (*key, "normalize"))
    normalized = columns.normalized(stream, schema)
    for role in ("event_time", "known_at"):
        column = getattr(stream, role)
        if column not in normalized:
            yield document.problem(_no_column(column, normalized), *key, role)
        elif normalized[column] not in ("timestamp", UNKNOWN):
            yield document.problem(f"{role} {column!r} is a {normalized[column]}, expected a timestamp", *key, role)
    yield from _check_enrich(pipeline, stream, normalized, document, (*key, "enrich"))
    clear = columns.clear(stream, schema, pipeline.spec.references)
    for column in sorted(set(clear) & RESERVED - {stream.event_time, stream.known_at}):
        yield document.problem(f"column name {column!r} is reserved; choose another", *key)
    yield from check_protect(stream, clear, document, (*key, "protect"))
    yield from check_subject(stream, normalized, document, (*key, "subject"))
    yield from check_duplicates(stream, normalized, document, key)
    yield from _check_expectations(pipeline, name, clear, document)


def _check_normalize(stream: Stream, known: dict[str, str], document: Document, key: Key) -> Iterable[Problem]:
    rules = stream.normalize
    for part, wanted in (("case", ("string",)), ("units", ("double", "int", "bigint")), ("rename", None)):
        for column in getattr(rules, part):
            if column not in known:
                yield document.problem(_no_column(column, known), *key, part, column)
            elif wanted and known[column] not in wanted:
                yield document.problem(
                    f"{part}: {column!r} is a {known[column]}, expected {wanted[0]}", *key, part, column
                )
    after = [rules.rename.get(name, name) for name in known]
    for twice in sorted({name for name in after if after.count(name) > 1}):
        yield document.problem(f"two columns are called {twice!r} after renaming", *key, "rename")
    for column, sql in rules.derive.items():
        if column in after:
            yield document.problem(f"derived column {column!r} exists already", *key, "derive", column)
        try:
            checked(sql, after)
        except SpecError as error:
            yield document.problem(str(error), *key, "derive", column)


def _check_enrich(
    pipeline: Pipeline, stream: Stream, known: dict[str, str], document: Document, key: Key
) -> Iterable[Problem]:
    for index, enrich in enumerate(stream.enrich):
        reference = pipeline.spec.references.get(enrich.reference)
        if reference is None:
            names = ", ".join(pipeline.spec.references) or "none is declared"
            yield document.problem(
                f"unknown reference {enrich.reference!r}; expected one of {names}", *key, index, "reference"
            )
            continue
        if enrich.on not in known:
            yield document.problem(_no_column(enrich.on, known), *key, index, "on")
        for column, source in enrich.columns.items():
            if source not in reference.columns:
                yield document.problem(_no_column(source, reference.columns), *key, index, "columns", column)
            if column in known:
                yield document.problem(f"enriched column {column!r} exists already", *key, index, "columns", column)


def _check_expectations(pipeline: Pipeline, name: str, clear: dict[str, str], document: Document) -> Iterable[Problem]:
    named = pipeline.spec.streams[name].expectations
    if named is None:
        return
    try:
        file = beside(pipeline.folder, named)
    except ValueError as error:
        yield document.problem(f"expectations: {error}", "streams", name, "expectations")
        return
    if not file.is_file():
        yield document.problem(f"{file}: no such file", "streams", name, "expectations")
        return
    found = check_suite(file, columns=clear)
    yield from found
    if found:
        return
    for expectation in read_suite(file).expectations:
        condition = row_condition_sql(expectation)
        if condition is not None:
            try:
                checked(condition, clear)
            except SpecError as error:
                yield Problem(file, expectation.line, f"row_condition: {error}")


def _no_column(name: str, known: Iterable[str]) -> str:
    return f"no column {name!r}; expected one of {', '.join(sorted(known))}"
