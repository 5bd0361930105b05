"""What a stream's drift has been told of: a small table beside its events, so that a restart does not tell it again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.lake import delta
from headrace.lake.tables import create_table
from headrace.small_frames import frame_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "stream string, kind string, field string, text string, spec_version string, batch_id long, seen_at timestamp"


@dataclass(frozen=True)
class Alert:
    """A change of a stream's records that was told once."""

    stream: str
    kind: str
    """``unknown``, ``added``, ``missing``, ``renamed``, ``type``, or ``more`` where no more is told."""
    field: str
    """Its path, such as ``address.city`` or ``items[].colour``; a name that is no plain identifier is ``#`` and a hash."""
    text: str
    spec_version: str
    """Of the pipeline file that was in force."""
    batch_id: int
    seen_at: datetime

    @property
    def sentence(self) -> str:
        """For a person to read."""
        what = f"field {self.field!r} " if self.field else ""
        return f"stream {self.stream!r}: {what}{self.text}"


def read_alerts(spark: SparkSession, path: str) -> list[Alert]:
    """What was told so far, oldest first."""
    if not delta.exists(spark, path):
        return []
    names = [field.name for field in fields(Alert)]
    rows = alerts_frame(spark, path).orderBy("seen_at", "kind", "field").collect()
    return [Alert(*(row[name] for name in names)) for row in rows]


def alerts_frame(spark: SparkSession, path: str) -> DataFrame:
    """The same as a frame, with the columns of ``SCHEMA``."""
    return spark.read.format("delta").load(path)


def remember_alerts(spark: SparkSession, path: str, alerts: Iterable[Alert]) -> None:
    """Append alerts in one commit."""
    from pyspark.sql.types import StructType

    frame = frame_of(spark, [astuple(alert) for alert in alerts], SCHEMA)
    schema = frame.schema
    assert isinstance(schema, StructType)
    create_table(spark, path, schema=schema, statistics=("seen_at",), change_data_feed=False)
    frame.write.format("delta").mode("append").save(path)
