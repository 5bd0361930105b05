"""What a pipeline holds of a person, in clear, to be given to them: as many JSON lines as there are rows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.erasure.answers import answer_rows
from headrace.erasure.run import Held
from headrace.erasure.scan import SearchedTable, among
from headrace.errors import KeyRingError
from headrace.lake.layout import Layout
from headrace.lake.openings import log_openings
from headrace.privacy.keys import KeyRing
from headrace.privacy.seal import open_sealed
from headrace.spec.paths import written
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Encrypt
from headrace.stages.opened import opened

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

Line = tuple[str, dict[str, Any]]
"""Name of a table, and one of its rows."""


def export_lines(spark: SparkSession, pipeline: Pipeline, held: Held, *, ring: KeyRing) -> Iterator[Line]:
    """Every row of the person's, with what is encrypted opened, and a quarantined record as it was sent (``original``).

    Each opening of a quarantined record is noted in the lake before. Pseudonyms stay pseudonyms: nobody can read them back.
    Raises KeyRingError where a value does not open, StorageError where an opening can't be noted.
    """
    for table in held.found.tables:
        scanned = held.found.scans.get(table.name)
        if scanned is not None and scanned.places:
            rows = spark.read.format("delta").load(table.path).where(among(scanned.places))
            yield from _rows(spark, pipeline, table, rows, ring=ring)
    for name, rows in answer_rows(spark, pipeline, held.found.ids, held.answers, ring=ring):
        for row in rows.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("line")).collect():
            yield name, json.loads(row["line"])


def _rows(
    spark: SparkSession, pipeline: Pipeline, table: SearchedTable, rows: DataFrame, *, ring: KeyRing
) -> Iterator[Line]:
    sealed = [written(path) for path, protection in table.stream.protections.items() if isinstance(protection, Encrypt)]
    clear = opened(
        rows, stream=table.stream, paths=[path for path in sealed if _column(path) in rows.columns], ring=ring
    )
    payload = F.col("payload") if "payload" in rows.columns else F.lit(None).cast("binary")
    shown = [name for name in clear.columns if name != "payload"]
    line = F.to_json(F.struct(*(F.col(f"`{name}`") for name in shown)), {"ignoreNullFields": "false"})
    coordinates = ["kafka_partition", "kafka_offset"]
    try:
        found = clear.select(line.alias("line"), payload.alias("payload"), *coordinates).orderBy(*coordinates).collect()
    except Exception as error:
        closed = next(
            (part.split("KeyRingError: ")[1] for part in str(error).splitlines() if "KeyRingError: " in part), None
        )
        raise KeyRingError(f"{table.name}: {closed}") if closed else error from None
    topic = table.stream.topic
    places = [(row["kafka_partition"], row["kafka_offset"]) for row in found if row["payload"] is not None]
    if places:
        log_openings(spark, Layout(pipeline.spec.lake.root).openings, topic=topic, places=places)
    for row in found:
        told = json.loads(row["line"])
        if row["payload"] is not None:
            told["original"] = _original(row, topic, ring=ring)
        yield table.name, told


def _original(row: Row, topic: str, *, ring: KeyRing) -> dict[str, Any]:
    record = open_sealed(
        bytes(row["payload"]), topic=topic, partition=row["kafka_partition"], offset=row["kafka_offset"], ring=ring
    )
    headers = [{"name": name, "value": _text(value)} for name, value in record.headers]
    return {"key": _text(record.key), "value": _text(record.value), "headers": headers}


def _text(data: bytes | None) -> str | None:
    """As text where it is UTF-8, else in Base64 behind ``base64:``."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def _column(path: str) -> str:
    return path.replace("[]", "").partition(".")[0]
