"""A stream's schema: Spark's own schema JSON, read without Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.located import Document, Key, Problem, read

_SIMPLE = {
    "string": "string", "long": "bigint", "integer": "int", "double": "double", "boolean": "boolean", "timestamp": "timestamp",
    "date": "date",
}  # fmt: skip
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = frozenset(
    [
        "event_time",
        "known_at",
        "kafka_topic",
        "kafka_partition",
        "kafka_offset",
        "kafka_timestamp",
        "duplicate_of",
        "failed_rules",
        "verdict",
        "ingest_date",
        "ingested_at",
        "batch_id",
        "spec_version",
        "payload",
        "released_at",
        "released_by",
        "released_known_at",
    ]
)
"""Names of the columns that Headrace adds to every row; a schema may not use them."""


@dataclass(frozen=True)
class SchemaFile:
    """Columns (name to Spark simple type, in order), which of them must be there, and the JSON itself, without metadata."""

    file: Path
    columns: dict[str, str]
    required: frozenset[str]
    json: dict[str, Any]


def read_schema(path: Path) -> tuple[SchemaFile | None, list[Problem]]:
    """The schema and what is wrong with it. A field with ``"nullable": false`` is required."""
    document = read(path)
    fields = document.data.get("fields") if isinstance(document.data, dict) else None
    if not isinstance(fields, list) or not fields or document.data.get("type") != "struct":
        return None, [document.problem('expected Spark\'s schema JSON: {"type": "struct", "fields": [...]}')]
    columns: dict[str, str] = {}
    required: set[str] = set()
    problems: list[Problem] = []
    for index, field in enumerate(fields):
        problem = _read_field(document, ("fields", index), field, columns, required)
        if problem:
            problems.append(problem)
    return SchemaFile(path, columns, frozenset(required), _bare(document.data)), problems


def _read_field(
    document: Document, key: Key, field: Any, columns: dict[str, str], required: set[str]
) -> Problem | None:
    if not isinstance(field, dict) or not isinstance(field.get("name"), str):
        return document.problem('expected a field such as {"name": "amount", "type": "double", "nullable": true}', *key)
    name = field["name"]
    if name in columns:
        return document.problem(f"field {name!r} is given twice", *key)
    if name in RESERVED or name.startswith("__") or not _NAME.fullmatch(name):
        return document.problem(
            f"field name {name!r} is reserved or not a plain identifier; rename it in the producer", *key
        )
    simple = _simple_type(field.get("type"))
    if simple is None:
        return document.problem(
            f"field {name!r}: unknown type {field.get('type')!r}; expected one of {', '.join(_SIMPLE)}, decimal(p,s), "
            "or a struct or array of these",
            *key,
        )
    columns[name] = simple
    if field.get("nullable") is False:
        required.add(name)
    return None


def _bare(kind: Any) -> Any:
    """A type without the metadata of its fields, in which Spark and Delta look for SQL."""
    if not isinstance(kind, dict):
        return kind
    if kind.get("type") == "array":
        return {**kind, "elementType": _bare(kind.get("elementType"))}
    if not isinstance(kind.get("fields"), list):
        return kind
    fields = [field for field in kind["fields"] if isinstance(field, dict)]
    bare = [
        {"name": f.get("name"), "type": _bare(f.get("type")), "nullable": f.get("nullable", True), "metadata": {}}
        for f in fields
    ]
    return {"type": "struct", "fields": bare}


def _simple_type(kind: Any) -> str | None:
    if isinstance(kind, str):
        return _SIMPLE.get(kind) or _decimal(kind)
    if isinstance(kind, dict) and kind.get("type") == "array":
        element = _simple_type(kind.get("elementType"))
        return element and f"array<{element}>"
    if isinstance(kind, dict) and kind.get("type") == "struct":
        fields = kind.get("fields")
        inner = [f for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []
        parts = [(f.get("name"), _simple_type(f.get("type"))) for f in inner]
        if parts and len(parts) == len(fields or ()) and all(part and _is_name(name) for name, part in parts):
            return f"struct<{','.join(f'{name}:{part}' for name, part in parts)}>"
    return None


def _is_name(name: object) -> bool:
    """Whether a nested field may be called so: letters, digits and ``_ - space``, none of which means anything in a type."""
    return isinstance(name, str) and re.fullmatch(r"[\w -]{1,128}", name) is not None


def _decimal(kind: str) -> str | None:
    found = _DECIMAL.fullmatch(kind)
    if found is None or not 1 <= int(found[1]) <= 38 or int(found[2]) > int(found[1]):
        return None
    return f"decimal({found[1]},{found[2]})"
