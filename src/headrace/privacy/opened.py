"""Opening sealed payloads where Spark runs: clear bytes exist in the worker and in flight, never in a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.errors import KeyRingError
from headrace.privacy.keys import KeyRing, open_ring
from headrace.privacy.seal import open_sealed

if TYPE_CHECKING:
    from pyspark.sql import Column

SCHEMA = "key binary, value binary, headers array<struct<key: string, value: binary>>, problem string"
_HEADERS = pa.list_(pa.struct({"key": pa.string(), "value": pa.binary()}))
_NAMES = ("key", "value", "headers", "problem")
_TYPES = (pa.binary(), pa.binary(), _HEADERS, pa.string())


def opened(*, payload: Column, topic: Column, partition: Column, offset: Column, ring: KeyRing) -> Column:
    """A struct: ``key binary``, ``value binary``, ``headers array<struct<key string, value binary>>`` (null where the record had
    none), ``problem string``.

    ``problem`` is null, or the sentence that says why this payload does not open (then all others are null): a row that can't
    be opened must not end a job that could name it.
    """  # fmt: skip
    return _open_udf(ring.path)(payload, topic, partition, offset)


def _open_udf(ring_path: str) -> Any:
    from pyspark.sql.functions import arrow_udf

    def open_all(payload: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        ring = _ring_or_problem(ring_path)  # asked for once in a batch of rows: it may be far away
        rows = zip(payload.to_pylist(), topic.to_pylist(), partition.to_pylist(), offset.to_pylist(), strict=True)
        found = [_open_one(ring, *row) for row in rows]
        arrays = [pa.array([row[place] for row in found], kind) for place, kind in enumerate(_TYPES)]
        return pa.StructArray.from_arrays(arrays, names=list(_NAMES))

    return arrow_udf(open_all, SCHEMA)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _ring_or_problem(ring_path: str) -> KeyRing | str:
    try:
        return open_ring(ring_path)
    except KeyRingError as error:
        return str(error)


def _open_one(
    ring: KeyRing | str, payload: bytes | None, topic: str, partition: int, offset: int
) -> tuple[bytes | None, bytes | None, list[dict[str, Any]] | None, str | None]:
    if isinstance(ring, str):
        return None, None, None, ring
    if payload is None:
        return None, None, None, f"the row {topic}/{partition}/{offset} has no payload; it can't be replayed"
    try:
        original = open_sealed(payload, topic=topic, partition=partition, offset=offset, ring=ring)
    except KeyRingError as error:
        return None, None, None, str(error)
    headers = [{"key": name, "value": value} for name, value in original.headers]
    return original.key, original.value, headers or None, None
