"""Which fields that a schema lacks may become columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql.types import StructField, StructType

from headrace.spec.schema_file import RESERVED
from headrace.spec.stream import Stream
from headrace.stages.evolved import Fields, evolved_field
from headrace.stages.fields import declared, shown_path
from headrace.stages.shape import Path, Shape

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Judged:
    """What becomes of the unknown fields of a batch."""

    fields: Fields
    """New columns and nested fields."""
    refused: Mapping[str, str]
    """Field, as it may be shown, to why it can't become one."""


def judge(shape: Shape, schema: StructType, *, stream: Stream, columns: StructType, added: int) -> Judged:
    """What becomes of what a shape has and the schema lacks. ``columns``: of the table; ``added``: so many were added before.

    A field without any value waits. Where there are more new fields than the stream allows, none of them is added: such a
    flood is no change of a schema, and half of it would be chance.
    """
    known = dict(declared(schema))
    names: dict[Path, set[str]] = {(): {*RESERVED, *(name.lower() for name in columns.names)}}
    for path in known:
        names.setdefault(path[:-1], set()).add(path[-1].lower())
    wanted: dict[Path, StructField] = {}
    refused: dict[str, str] = {}
    for path, part in shape.walk():
        if path in known or path[:-1] not in names or part.kind == "void":
            continue
        why = _why_not(path, taken=names[path[:-1]], stream=stream)
        if why is None:
            wanted[path] = evolved_field(path[-1], part)
            names[path[:-1]].add(path[-1].lower())
        else:
            refused[shown_path(path)] = why
    left = stream.max_new_columns - added
    if len(wanted) > left:
        why = f"one of {len(wanted)} new ones where max_new_columns leaves {max(left, 0)}; its records are quarantined"
        refused |= {shown_path(path): why for path in wanted}
        wanted = {}
    return Judged(wanted, refused)


def _why_not(path: Path, *, taken: Collection[str], stream: Stream) -> str | None:
    """Why a field can't become a column, or None where it can."""
    name, column = path[-1], stream.normalize.rename.get(path[0], path[0])
    if not _NAME.fullmatch(name):
        return "can't become a column: its name is no plain identifier; its records are quarantined"
    if name.lower() in taken:
        return "can't become a column: its name is taken; its records are quarantined"
    if len(path) > 1 and any(at[0] == column and kind != "public" for at, kind in stream.protections.items()):
        return f"can't become part of {column!r}, which is protected; its records are quarantined"
    return None
