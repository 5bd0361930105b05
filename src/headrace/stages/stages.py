"""The way of one record: decode, normalize, enrich, label, anonymize, seal. Pure: a frame in, a frame out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.lake.release import RELEASED
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED
from headrace.privacy.keys import KeyRing, open_ring
from headrace.privacy.seal import sealed
from headrace.quality import CompiledSuite, compile_suite, failed_critical, failed_rules, read_suite
from headrace.spec.pipeline import Pipeline
from headrace.spec.sql import checked
from headrace.spec.stream import Stream
from headrace.stages.anonymize import anonymize
from headrace.stages.conversion import record_time
from headrace.stages.decode import KAFKA_COLUMNS, REASONS, Decoder, decode, decoder
from headrace.stages.enrich import enrich, load_reference
from headrace.stages.normalize import normalize
from headrace.stages.unclassified import Unclassified, find_unclassified, hidden, privacy_reasons, with_findings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

KAFKA = tuple(f"__{name}" for name in KAFKA_COLUMNS)
KAFKA_SCHEMA = (
    "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, timestampType int, "
    "headers array<struct<key: string, value: binary>>"
)

DUPLICATE_OF = "__duplicate_of"
"""Beside a record that is known to be a copy: ``topic/partition/offset`` of the first one."""


@dataclass(frozen=True)
class Way:
    """Everything that one stream's records need on their way, compiled once."""

    name: str
    stream: Stream
    decoder: Decoder
    schema: StructType
    references: Mapping[str, DataFrame]
    suite: CompiledSuite | None
    ring: KeyRing
    spec_version: str
    left_open: Unclassified
    """What ``protect`` says nothing of."""
    strict: bool
    """Whether a value there that looks personal quarantines its record."""

    @property
    def decoded(self) -> Column:
        """Whether a row was decoded, so that rules may see it."""
        return F.size(REASONS) == 0

    def with_current_keys(self) -> Way:
        """The same way with the key ring as it is now: a key that was rotated meanwhile writes from here on."""
        return replace(self, ring=open_ring(self.ring.path))


def prepare(spark: SparkSession, pipeline: Pipeline, stream: str, *, ring: KeyRing) -> Way:
    """Compile a stream's way: load its references, compile its suite against the columns that the rules will see."""
    spec = pipeline.spec.streams[stream]
    if spec.unknown_fields == "evolve" and pipeline.strict(stream):  # a new column would be one that nobody classified
        spec = spec.model_copy(update={"unknown_fields": "quarantine"})
    schema = StructType.fromJson(pipeline.schemas[stream].json)
    names = {lookup.reference for lookup in spec.enrich}
    references = {
        name: load_reference(spark, pipeline.spec.references[name], folder=pipeline.folder) for name in sorted(names)
    }
    way = Way(
        stream, spec, decoder(stream=spec, schema=schema), schema, references, None, ring, pipeline.version,
        find_unclassified(pipeline, stream), pipeline.strict(stream),
    )  # fmt: skip
    file = pipeline.suite_file(stream)
    if file is None:
        return way
    seen = clear(spark.createDataFrame([], KAFKA_SCHEMA), way).drop(REASONS, *KAFKA)
    suite = compile_suite(spark, schema=seen.schema, suite=read_suite(file), sql=checked)
    return replace(way, suite=suite)


def clear(records: DataFrame, way: Way) -> DataFrame:
    """The columns as the rules see them (in flight only), beside the Kafka columns and ``__reasons``."""
    events = decode(records, by=way.decoder)
    events = normalize(events, stream=way.stream, schema=way.schema)
    return enrich(events, stream=way.stream, references=way.references)


def labelled(records: DataFrame, way: Way) -> DataFrame:
    """As :func:`clear`, with ``failed_rules array<string>`` and ``verdict``.

    ``failed_rules`` holds decode reasons, then (under ``privacy: strict``) fields that look personal, then failed rule ids.
    """
    events = clear(records, way)
    reasons = F.col(REASONS)
    quarantined = ~way.decoded
    if way.strict:
        events = with_findings(events, left_open=way.left_open)
        personal = privacy_reasons(events, left_open=way.left_open)
        reasons, quarantined = F.concat(reasons, personal), quarantined | (F.size(personal) > 0)
    if way.suite is not None:
        reasons = F.concat(reasons, failed_rules(way.suite, decoded=way.decoded))
        quarantined = quarantined | failed_critical(way.suite)
    events = events.withColumn("failed_rules", reasons)
    verdict = F.when(quarantined, F.lit(QUARANTINED))
    if DUPLICATE_OF in events.columns:
        verdict = verdict.when(F.col(DUPLICATE_OF).isNotNull(), F.lit(DUPLICATE))
    return events.withColumn("verdict", verdict.otherwise(F.lit(ACCEPTED)))


def without_statistics(way: Way) -> set[str]:
    """Columns whose least and greatest value must not be in the table's log: protected ones, those that name a person, and what
    looks personal by name.
    """  # fmt: skip
    named = {path[0] for path in way.stream.subjects.values()}
    return {path[0] for path in way.stream.closed} | named | way.left_open.columns


def finished(rows: DataFrame, way: Way, *, keep_payload: bool = True) -> DataFrame:
    """Labelled rows as they are written: own columns protected, then the columns that Headrace adds to every row.

    ``keep_payload``: whether quarantined rows carry their original record, sealed.
    """
    events = hidden(rows, left_open=way.left_open) if way.strict else rows
    events = anonymize(events, stream=way.stream, ring=way.ring)
    if keep_payload:
        record = {name: F.col(f"__{name}") for name in ("key", "value", "headers", "topic", "partition", "offset")}
        events = events.withColumn("payload", sealed(**record, ring=way.ring, when=F.col("verdict") == QUARANTINED))
    added = (*KAFKA, REASONS, DUPLICATE_OF, "failed_rules", "verdict", "payload")
    own = [name for name in events.columns if name not in added]
    role = {"event_time": way.stream.event_time, "known_at": way.stream.known_at}
    return events.select(
        *(name for name in own if name not in role),
        *(F.col(source).alias(name) for name, source in role.items()),
        *(F.col(f"__{name}").alias(f"kafka_{name}") for name in ("topic", "partition", "offset")),
        record_time(F.col("__timestamp")).alias("kafka_timestamp"),
        "failed_rules",
        *(["payload"] if keep_payload else []),
        *([_first_of_copy(events)] if way.stream.duplicates else []),
        F.lit(way.spec_version).alias("spec_version"),
        "verdict",
    )


def _first_of_copy(rows: DataFrame) -> Column:
    known = DUPLICATE_OF in rows.columns
    first = F.when(F.col("verdict") == DUPLICATE, F.col(DUPLICATE_OF)) if known else F.lit(None).cast("string")
    return first.alias("duplicate_of")


def table_schema(spark: SparkSession, way: Way, *, keep_payload: bool = True) -> StructType:
    """Schema of the rows that :func:`finished` gives, with ``batch_id long``, ``ingested_at timestamp`` and ``ingest_date date``;
    where payloads are kept, also the columns of a released row.
    """  # fmt: skip
    empty = spark.createDataFrame([], KAFKA_SCHEMA)
    rows = finished(labelled(empty, way), way, keep_payload=keep_payload)
    schema = rows.selectExpr(
        "*", "0L as batch_id", "current_timestamp() as ingested_at", "current_date() as ingest_date"
    ).schema
    return StructType([*schema, *RELEASED]) if keep_payload else schema
