"""Names of fields that come from data: what may be shown of them, and which of them a schema knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructField, StructType

from headrace.stages.shape import ELEMENT, Path

if TYPE_CHECKING:
    from pyspark.sql import Column

LONGEST = 64
_PLAIN = rf"^[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST - 1}}}\z"
JSON = "json"
"""In a field's metadata: its text column takes any value, objects and arrays as their JSON."""


def shown(name: str) -> str:
    """A field's name if it is a plain identifier of up to 64 characters, else ``#`` and 8 hex digits of its SHA-256.

    Names come from data: they may be personal, or made to harm who reads them.
    """
    if re.match(_PLAIN.replace(r"\z", r"\Z"), name):
        return name
    return "#" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def shown_name(name: Column) -> Column:
    """:func:`shown`, of a ``string`` column."""
    hashed = F.concat(F.lit("#"), F.substring(F.sha2(name.cast("binary"), 256), 1, 8))
    return F.when(name.rlike(_PLAIN), name).otherwise(hashed)


def shown_path(path: Path) -> str:
    """A path such as ``address.city`` or ``items[].colour``, each name as :func:`shown`."""
    text = ""
    for step in path:
        text += ELEMENT if step == ELEMENT else ("." if text else "") + shown(step)
    return text


def is_json(field: StructField) -> bool:
    """Whether a text column takes objects and arrays, as their JSON."""
    return bool(field.metadata.get(JSON))


def declared(kind: DataType, at: Path = ()) -> Iterator[tuple[Path, StructField]]:
    """Every field of a type, at any depth, with its path; parents first."""
    if isinstance(kind, StructType):
        for field in kind:
            yield (*at, field.name), field
            yield from declared(field.dataType, (*at, field.name))
    elif isinstance(kind, ArrayType):
        yield from declared(kind.elementType, (*at, ELEMENT))
