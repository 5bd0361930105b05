"""A person's rows as lines of JSON: encrypted values opened, and the original of a quarantined record as it was sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DecimalType, StringType, StructField, StructType

from headrace.erasure.scan import Scanned, SearchedTable
from headrace.errors import KeyRingError
from headrace.lake.erase import PLACE, Place
from headrace.lake.openings import log_openings
from headrace.privacy.encrypt import open_stored
from headrace.privacy.keys import KeyRing
from headrace.privacy.seal import open_sealed
from headrace.small_frames import frame_of
from headrace.spec.paths import ITEMS, Path, written
from headrace.spec.protect import Encrypt

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

_PAYLOAD = "payload"
_OPTIONS = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}


@dataclass(frozen=True)
class Lines:
    """Rows of one table, each a line of JSON."""

    lines: list[str] = field(repr=False)
    places: list[Place] = field(default_factory=list)
    """Of a table of records: partition and offset of each line, in order."""
    unopened: int = 0
    """Values and originals that don't open."""


def record_lines(
    spark: SparkSession, table: SearchedTable, scanned: Scanned, *, version: int, openings: str, ring: KeyRing
) -> Lines:
    """The rows of these records as a version of the table has them: ``{record, row, original, unopened}`` each.

    ``record``: topic, partition and offset; ``row``: the columns; ``original``: of a quarantined row; ``unopened``: what did not
    open, and is null. Each opening of an original is noted at ``openings`` before. Raises StorageError where it can't be.
    """
    rows = spark.read.format("delta").option("versionAsOf", version).load(table.path)
    chosen = frame_of(spark, sorted(scanned.places), "kafka_partition int, kafka_offset long")
    days = F.col("ingest_date").isin(*sorted(scanned.days))
    rows = rows.where(days).join(F.broadcast(chosen), [*PLACE], "left_semi")
    payload = F.col(_PAYLOAD) if _PAYLOAD in rows.columns else F.lit(None).cast("binary")
    found = rows.select(_json(rows).alias("line"), payload.alias(_PAYLOAD), *PLACE).orderBy(*PLACE).collect()
    sealed = [(row[PLACE[0]], row[PLACE[1]]) for row in found if row[_PAYLOAD] is not None]
    if sealed:
        log_openings(spark, openings, topic=table.stream.topic, places=sealed)
    told = [_told(row, table, ring=ring) for row in found]
    return Lines(
        [json.dumps(one, ensure_ascii=False) for one in told],
        [(row[PLACE[0]], row[PLACE[1]]) for row in found],
        sum(len(one["unopened"]) for one in told),
    )


def plain_lines(rows: DataFrame) -> Lines:
    """Rows of any other table as ``{row}``."""
    found = rows.select(_json(rows).alias("line")).collect()
    return Lines(sorted(json.dumps({"row": json.loads(row["line"])}, ensure_ascii=False) for row in found))


def _told(row: Row, table: SearchedTable, *, ring: KeyRing) -> dict[str, Any]:
    topic, (partition, offset) = table.stream.topic, (int(row[name]) for name in PLACE)
    columns, unopened = json.loads(row["line"]), list[str]()
    for path, protection in table.stream.protections.items():
        if isinstance(protection, Encrypt) and path[0] in columns:
            where = f"{topic}/{partition}/{offset}/{written(path)}".encode()
            key, name = protection.encrypt, written(path)

            def opened(value: str, where: bytes = where, key: str = key, name: str = name) -> str | None:
                try:
                    return open_stored(base64.b64decode(value), where, key=key, ring=ring)
                except KeyRingError:
                    unopened.append(name)
                    return None

            columns[path[0]] = _replaced(columns[path[0]], path[1:], opened)
    told: dict[str, Any] = {"record": {"topic": topic, "partition": partition, "offset": offset}, "row": columns}
    if row[_PAYLOAD] is not None:
        told["original"] = _original(bytes(row[_PAYLOAD]), topic, partition, offset, ring=ring)
        unopened += [] if told["original"] else ["original"]
    return {**told, "unopened": unopened}


def _original(payload: bytes, topic: str, partition: int, offset: int, *, ring: KeyRing) -> dict[str, Any] | None:
    """Key, value and headers, each value a text where it is UTF-8, else ``{"base64": ...}``; None where it does not open."""
    try:
        record = open_sealed(payload, topic=topic, partition=partition, offset=offset, ring=ring)
    except KeyRingError:
        return None
    headers = [{"name": name, "value": _text(value)} for name, value in record.headers]
    return {"key": _text(record.key), "value": _text(record.value), "headers": headers}


def _text(data: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data or b"").decode()}


def _replaced(value: Any, steps: Path, make: Callable[[Any], Any]) -> Any:
    """The value with ``make`` applied to what stands at the end of the steps; null stays null."""
    if value is None:
        return None
    if not steps:
        return make(value)
    if steps[0] == ITEMS:
        return [_replaced(item, steps[1:], make) for item in value]
    return {**value, steps[0]: _replaced(value.get(steps[0]), steps[1:], make)}


def _json(rows: DataFrame) -> Column:
    """All columns but the payload as JSON: times in UTC to the microsecond, decimals as texts, bytes in Base64."""
    columns: list[Column] = []
    for one in rows.schema:
        if one.name != _PAYLOAD:
            column, kind = F.col("`" + one.name.replace("`", "``") + "`"), _exact(one.dataType)
            columns.append((column if kind == one.dataType else column.cast(kind)).alias(one.name))
    return F.to_json(F.struct(*columns), _OPTIONS)


def _exact(kind: DataType) -> DataType:
    """The type with texts for decimals, which readers of JSON would round."""
    if isinstance(kind, DecimalType):
        return StringType()
    if isinstance(kind, ArrayType):
        return ArrayType(_exact(kind.elementType), kind.containsNull)
    if isinstance(kind, StructType):
        return StructType([StructField(one.name, _exact(one.dataType), one.nullable, one.metadata) for one in kind])
    return kind
