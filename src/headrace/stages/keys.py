"""keys: the hash by which copies of a record are known, from as little of the record as the key needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.spec.sql import columns_of
from headrace.spec.stream import Stream
from headrace.stages.conversion import as_parsed, record_time, typed
from headrace.stages.decode import OPTIONS, guard
from headrace.stages.normalize import normalize

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_PARSED = "__parsed"


def record_keys(records: DataFrame, *, stream: Stream, schema: StructType, by: Iterable[str]) -> DataFrame:
    """Kafka records (their columns, as they come) to ``high long, low long, partition int, offset long, time long``.

    ``high`` and ``low`` are :func:`key_hash` of the columns ``by`` as they are after normalize, ``time`` is the Kafka
    timestamp in milliseconds since 1970 (null where no row can hold it). Only the fields that the key needs are parsed. What
    a record that can't be decoded gets means nothing.
    """
    by = tuple(by)
    fields = _fields(stream, by)
    needed = StructType([field for field in schema if field.name in fields])
    unread = guard(F.col("value"), max_bytes=stream.max_record_bytes)
    raw = F.when(unread.isNull(), F.col("value").cast("string"))
    parsed = records.select(
        F.from_json(raw, as_parsed(needed), OPTIONS).alias(_PARSED),  # pyright: ignore[reportArgumentType]
        *(F.col(name).alias(f"__{name}") for name in ("partition", "offset", "timestamp")),
    )
    events = parsed.select(
        *(typed(F.col(f"{_PARSED}.`{field.name}`"), field.dataType).alias(field.name) for field in needed),
        *(f"__{name}" for name in ("partition", "offset", "timestamp")),
    )
    events = normalize(events, stream=_only(stream, by), schema=needed)
    high, low = key_hash([F.col(name) for name in by])
    coordinates = (F.col(f"__{name}").alias(name) for name in ("partition", "offset"))
    time = F.unix_millis(record_time(F.col("__timestamp"))).alias("time")
    return events.select(high.alias("high"), low.alias("low"), *coordinates, time)


def key_hash(key: list[Column]) -> tuple[Column, Column]:
    """Two ``long`` hashes (xxhash64 with different seeds), null where a part of the key is null."""
    whole = ~F.array_contains(F.array(*(part.isNull() for part in key)), True)
    return F.when(whole, F.xxhash64(*key)), F.when(whole, F.xxhash64(F.lit("headrace"), *key))


def _fields(stream: Stream, names: Iterable[str]) -> set[str]:
    """The schema's fields that columns after normalize are made of."""
    rules, found = stream.normalize, set[str]()
    written = {new: old for old, new in rules.rename.items()}
    for name in names:
        if name in rules.derive:
            found |= _fields(stream, columns_of(rules.derive[name]))
        else:
            found.add(written.get(name, name))
    return found


def _only(stream: Stream, by: Iterable[str]) -> Stream:
    """The stream with those derived columns only that the key is made of."""
    derive, wanted = stream.normalize.derive, list(by)
    for name in wanted:
        wanted += columns_of(derive[name]) if name in derive else ()
    kept = {name: sql for name, sql in derive.items() if name in wanted}
    return stream.model_copy(update={"normalize": stream.normalize.model_copy(update={"derive": kept})})
