"""Which columns, of which types, a stream has after each of its stages."""

from __future__ import annotations

from collections.abc import Mapping

import sqlglot
from sqlglot import exp

from headrace.errors import SpecError
from headrace.spec.paths import UNKNOWN, kind_at, with_kind
from headrace.spec.protect import Encrypt, Generalize, Protection
from headrace.spec.schema_file import SchemaFile
from headrace.spec.sql import checked
from headrace.spec.stream import Reference, Stream

_REFERENCE_TYPES = {"string": "string", "int": "int", "long": "bigint", "double": "double"}


def normalized(stream: Stream, schema: SchemaFile) -> dict[str, str]:
    """Column to Spark simple type after ``normalize``."""
    columns = {stream.normalize.rename.get(name, name): kind for name, kind in schema.columns.items()}
    return columns | {name: _type_of(sql) for name, sql in stream.normalize.derive.items()}


def clear(stream: Stream, schema: SchemaFile, references: Mapping[str, Reference]) -> dict[str, str]:
    """Column to type after ``enrich``: what the rules see, in flight only."""
    columns = normalized(stream, schema)
    for enrich in stream.enrich:
        reference = references.get(enrich.reference)
        for name, source in enrich.columns.items():
            kind = reference.columns.get(source) if reference else None
            columns[name] = _REFERENCE_TYPES[kind] if kind else UNKNOWN
    return columns


def stored(stream: Stream, schema: SchemaFile, references: Mapping[str, Reference]) -> dict[str, str]:
    """Column to type after ``anonymize``: what the table holds."""
    columns = clear(stream, schema, references)
    for path, protection in stream.protections.items():
        kind = kind_at(columns, path)
        if kind is None:
            continue
        name, *inner = path
        new = stored_kind(kind, protection)
        if inner:
            columns[name] = with_kind(columns[name], tuple(inner), new)
        elif new is None:
            del columns[name]
        else:
            columns[name] = new
    return columns


def stored_kind(kind: str, protection: Protection) -> str | None:
    """Type of what is written in place of a protected value of a type; None where nothing is."""
    if protection == "drop":
        return None
    if protection == "public":
        return kind
    if isinstance(protection, Encrypt):
        return "binary"
    if isinstance(protection, Generalize) and protection.generalize == "year":
        return "int"
    if isinstance(protection, Generalize) and protection.generalize in ("band", "grid"):
        return "double" if kind.startswith("decimal") else kind
    return "string"


def _type_of(sql: str) -> str:
    try:
        tree = sqlglot.parse_one(checked(sql), dialect="spark")
    except SpecError:
        return UNKNOWN
    if isinstance(tree, exp.Cast):
        return tree.to.sql(dialect="spark").lower()
    return UNKNOWN
