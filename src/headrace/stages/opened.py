"""Opening encrypted columns, for who holds the key ring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import SpecError
from headrace.privacy.encrypt import decrypted
from headrace.privacy.keys import KeyRing
from headrace.privacy.nested import put, taken
from headrace.spec.paths import parse_path, written
from headrace.spec.protect import Encrypt
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_OPENED = "__opened_"


def opened(rows: DataFrame, *, stream: Stream, paths: Iterable[str], ring: KeyRing) -> DataFrame:
    """Rows of a stream's table with the values at these paths in clear (``string``; of a struct or array its JSON).

    Raises SpecError for a path that is not encrypted. A value that does not open fails where it is read.
    """
    encrypted = {path: p.encrypt for path, p in stream.protections.items() if isinstance(p, Encrypt)}
    place = {name: F.col(f"kafka_{name}") for name in ("topic", "partition", "offset")}
    for number, text in enumerate(paths):
        path = parse_path(text)
        if path is None or path not in encrypted:
            known = ", ".join(map(written, encrypted)) or "none is"
            raise SpecError(f"{text!r} is not encrypted in this stream; expected one of {known}")
        name, steps = path[0], path[1:]
        values = taken(F.col(name), steps, lambda leaf: leaf)
        made = decrypted(values, path=path, key=encrypted[path], ring=ring, **place)
        rows = rows.withColumn(f"{_OPENED}{number}", made)
        rows = rows.withColumn(name, put(F.col(name), F.col(f"{_OPENED}{number}"), steps)).drop(f"{_OPENED}{number}")
    return rows
