"""``unknown_fields: evolve``: a field that the schema lacks becomes a column, in time for the very batch that brings it.

Before a batch is written a pass over it asks whether any record has a field that is not known and not judged yet. Only if so,
the shape of the records that are good but for such fields is put together, and what may become a column is added to the
table in one commit that also remembers it. A batch that is repeated after a crash finds the columns there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from headrace.ingest.drift import DriftLog
from headrace.ingest.drift_rules import Finding
from headrace.ingest.new_fields import Judged, judge
from headrace.ingest.watch import Batch, Watch
from headrace.lake import delta
from headrace.lake.columns import add_fields, table_columns
from headrace.stages.decode import REASONS, decode, decoder
from headrace.stages.evolved import COMMENT, COMMENT_JSON, Fields, evolved_fields, grown, table_path
from headrace.stages.fields import is_json, shown_path
from headrace.stages.shape import Path, Shape, read_shape
from headrace.stages.stages import Way
from headrace.stages.unknown import unknown_paths

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_JUDGED = 1000
"""So many fields that became no column are remembered, so that they are not looked at again."""


def with_added(spark: SparkSession, way: Way, table: str) -> tuple[Way, Fields]:
    """The way with the fields that were added to its table in its schema, and these fields.

    Under ``privacy: strict`` there are none: nobody classified them, so records that have them are quarantined.
    """
    if way.strict:
        return way, {}
    added = evolved_fields(table_columns(spark, table), stream=way.stream, schema=way.schema)
    return grown(way, added), added


class EvolveWatch(Watch):
    """Adds columns for new fields, batch by batch."""

    def __init__(self, spark: SparkSession, way: Way, *, table: str, added: Fields, log: DriftLog | None) -> None:
        """``way``: with the fields that were ``added`` before in its schema. ``log`` hears what is added and what can't be."""
        self._spark, self._way, self._table, self._log = spark, way, table, log
        self._stream, self._added = way.stream, dict(added)
        self._judged: set[str] = set()
        self._findings = [_added(path, field) for path, field in added.items()]

    def ahead(self, batch: Batch) -> Batch:
        """The batch, to go a way whose schema has what it brings."""
        if not self._brings_new(batch.records):
            return replace(batch, way=self._way)
        judged = self._judge(batch.records)
        self._judged |= set(sorted(judged.refused)[: MOST_JUDGED - len(self._judged)])
        self._findings += [
            Finding("unknown", name, f"is not in the schema and {why}") for name, why in judged.refused.items()
        ]
        if judged.fields:
            self._add(judged)
        return replace(batch, way=self._way, version=delta.version(self._spark, self._table))

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """Tell what was added and what could not be; of what was added before a restart too, as it may not have been told."""
        if self._findings and self._log is not None:
            self._log.tell(self._findings, batch_id=batch.metadata["batch"])
        self._findings = []

    def _brings_new(self, records: DataFrame) -> bool:
        stream = self._stream
        raw = F.when(F.octet_length("value") <= stream.max_record_bytes, F.col("value").cast("string"))
        paths = unknown_paths(raw, self._way.schema, nulls=False)
        new = F.array_except(paths, F.array(*map(F.lit, sorted(self._judged))).cast("array<string>"))
        found = records.agg(F.max(F.size(new) > 0)).first()
        return bool(found and found[0])

    def _judge(self, records: DataFrame) -> Judged:
        """From the records that have no other fault: a broken one must not make columns."""
        lenient = decoder(stream=self._stream.model_copy(update={"unknown_fields": "ignore"}), schema=self._way.schema)
        good = F.when(F.size(REASONS) == 0, F.try_parse_json(F.col("__value").cast("string")))
        found = decode(records, by=lenient).agg(F.schema_of_variant_agg(good)).first()
        try:
            shape = read_shape(found[0]) if found and found[0] else Shape("void")
        except (ValueError, RecursionError):
            shape = Shape("void")
        columns = table_columns(self._spark, self._table)
        return judge(shape, self._way.schema, stream=self._stream, columns=columns, added=len(self._added))

    def _add(self, judged: Judged) -> None:
        add_fields(
            self._spark,
            self._table,
            [
                (table_path(path, self._stream), field.dataType, COMMENT_JSON if is_json(field) else COMMENT)
                for path, field in judged.fields.items()
            ],
        )
        self._way, self._added = grown(self._way, judged.fields), self._added | dict(judged.fields)
        self._findings += [_added(path, field) for path, field in judged.fields.items()]


def _added(path: Path, field: StructField) -> Finding:
    kind = "JSON in a text" if is_json(field) else field.dataType.typeName()
    return Finding("added", shown_path(path), f"is new; it is a column from now on ({kind}), and it is not protected")
