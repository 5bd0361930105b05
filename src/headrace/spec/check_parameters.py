"""Parameters and categories: what they name exists, and a vocabulary names nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.located import Document, Key, Problem
from headrace.spec import columns
from headrace.spec.paths import UNKNOWN
from headrace.spec.personal import meaning_of_name
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Encrypt, Mask, Protection, Redact
from headrace.spec.unclassified import made_from_protected

_KINDS = ("string", "int", "bigint", "smallint", "tinyint", "boolean", "date", UNKNOWN)


def check_parameters(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All problems of ``parameters`` and of ``features.categories``."""
    yield from _check_needs(pipeline, document)
    yield from _check_monotonic(pipeline, document)
    for name in pipeline.spec.parameters.vocabularies:
        yield from _check_vocabulary(pipeline, name, document)
    yield from _check_categories(pipeline, document)
    taken = {stream.topic for stream in pipeline.spec.streams.values()}
    taken |= {pipeline.spec.scoring.topic} if pipeline.spec.scoring else set()
    if pipeline.parameters_topic in taken:
        yield document.problem(
            f"topic {pipeline.parameters_topic!r} is where the model's parameters are published; name the other one differently",
            "pipeline",
        )


def _check_needs(pipeline: Pipeline, document: Document) -> Iterator[Problem]:
    spec, declared = pipeline.spec, pipeline.spec.parameters
    if declared.statistics and spec.features is None:
        yield document.problem("statistics need the section 'features'", "parameters", "statistics")
    for key in ("class_weights", "hyperparameters"):
        if getattr(declared, key) and spec.model is None:
            yield document.problem(f"{key} need the section 'model'", "parameters", key)
    if declared.class_weights and spec.model and "scale_pos_weight" in spec.model.parameters:
        yield _twice("class_weights", "scale_pos_weight", document)


def _check_monotonic(pipeline: Pipeline, document: Document) -> Iterator[Problem]:
    spec, declared = pipeline.spec, pipeline.spec.parameters.monotonic
    if not declared:
        return
    if spec.model is None or spec.features is None:
        yield document.problem("monotonic needs the sections 'features' and 'model'", "parameters", "monotonic")
        return
    for name in declared:
        key: Key = ("parameters", "monotonic", name)
        if name not in spec.features.names:
            yield document.problem(f"no feature {name!r}; expected one of {', '.join(spec.features.names)}", *key)
        elif name in spec.features.categories:
            yield document.problem(f"feature {name!r} is a category: its index has no direction", *key)
    if "monotone_constraints" in spec.model.parameters:
        yield _twice("monotonic", "monotone_constraints", document)


def _check_vocabulary(pipeline: Pipeline, name: str, document: Document) -> Iterator[Problem]:
    vocabulary, key = pipeline.spec.parameters.vocabularies[name], ("parameters", "vocabularies", name)
    stream = pipeline.spec.streams.get(vocabulary.stream)
    if stream is None:
        known = ", ".join(pipeline.spec.streams)
        yield document.problem(f"unknown stream {vocabulary.stream!r}; expected one of {known}", *key, "stream")
        return
    schema, references = pipeline.schemas[vocabulary.stream], pipeline.spec.references
    clear = columns.clear(stream, schema, references)
    column = vocabulary.column
    if column not in clear:
        yield document.problem(f"no column {column!r} in stream {vocabulary.stream!r}", *key, "column")
        return
    protection = stream.protections.get((column,))
    why = None if protection is None else _names_somebody(protection)
    if protection is None:
        meaning, source = meaning_of_name((column,), clear[column]), made_from_protected(stream).get(column)
        if meaning:
            why = f"looks like {meaning}, and nobody classified it; give it a pseudonym, or declare it public under protect"
        elif source:
            why = (
                f"is made from {source!r}, which is protected; give it a pseudonym, or declare it public under protect"
            )
    if why:
        yield document.problem(f"column {column!r} of stream {vocabulary.stream!r} {why}", *key, "column")
        return
    kind = columns.stored(stream, schema, references)[column]
    if kind not in _KINDS:
        yield document.problem(
            f"{column!r} is a {kind}; a vocabulary needs a text, a whole number or a date", *key, "column"
        )


def _check_categories(pipeline: Pipeline, document: Document) -> Iterator[Problem]:
    features = pipeline.spec.features
    stream = pipeline.spec.streams.get(features.requests) if features else None
    if features is None or stream is None:
        return
    known = columns.clear(stream, pipeline.schemas[features.requests], pipeline.spec.references)
    for column, name in features.categories.items():
        key: Key = ("features", "categories", column)
        vocabulary = pipeline.spec.parameters.vocabularies.get(name)
        if column not in known:
            yield document.problem(f"no column {column!r} in stream {features.requests!r}", *key)
        elif vocabulary is None:
            names = ", ".join(pipeline.spec.parameters.vocabularies) or "none is declared"
            yield document.problem(f"unknown vocabulary {name!r}; parameters.vocabularies: {names}", *key)
        elif vocabulary.stream in pipeline.spec.streams:
            other = pipeline.spec.streams[vocabulary.stream].closed.get((vocabulary.column,))
            if stream.closed.get((column,)) != other:
                yield document.problem(
                    f"column {column!r} and the column of vocabulary {name!r} are protected in different ways, so no value of one "
                    "is one of the other; protect both alike",
                    *key,
                )


def _names_somebody(protection: Protection) -> str | None:
    if protection == "drop":
        return "is dropped under protect, so no table holds it"
    if isinstance(protection, Encrypt):
        return "is encrypted, and equal values differ; protect it by a pseudonym"
    if protection == "redact" or isinstance(protection, (Mask, Redact)):
        return "keeps parts of what it protects, which a vocabulary would publish; protect it by a pseudonym, or generalize it"
    return None


def _twice(here: str, there: str, document: Document) -> Problem:
    return document.problem(
        f"{here} and model.parameters.{there} say the same thing; leave one out", "parameters", here
    )
