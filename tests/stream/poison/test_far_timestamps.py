"""Records whose Kafka timestamp no calendar holds: Spark's source can't read them, and the stream goes on all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from catalogue.poison import CANARY, GOOD, kept, refused
from ingested import places_of, rows_by_offset, send, write_pipeline

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.privacy.keys import open_ring
from headrace.privacy.original import Original
from headrace.privacy.seal import open_sealed
from headrace.spec import Pipeline

NANOSECONDS = 1_356_998_400_000_000_000
"""2013-01-01, told in nanoseconds where Kafka wants milliseconds."""
FINE, TOMBSTONE = kept(f"{{{GOOD}}}"), refused("decode:tombstone", None)[0]
(BAD,) = refused("decode:malformed", f"{{{GOOD}")
HEADERS = (("a", None), ("a", b"\xff"))
FAR = [
    replace(record, timestamp=stamp, headers=HEADERS, key=key)
    for record in (FINE, BAD, TOMBSTONE)
    for stamp, key in ((NANOSECONDS, b"k"), (2**63 - 1, None), (-(2**62), b""))
]
NEAR = [FINE, BAD, replace(FINE, timestamp=10**15)]


def ingest(spark, pipeline: Pipeline, bootstrap: str) -> list[BatchReport]:
    reports: list[BatchReport] = []
    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, streams=["plain"], on_batch=reports.append
    ).wait()
    return reports


def test_a_time_that_no_calendar_holds_stops_nothing(spark, bootstrap: str, tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topics="far")
    records = [*NEAR, *FAR, *NEAR]
    offsets = send(bootstrap, "far-plain", records, in_a_transaction=4)
    assert [report.rows for report in ingest(spark, pipeline, bootstrap)] == [len(records)]
    rows = rows_by_offset(tmp_path / "lake" / "events" / "plain")
    assert {offset: len(copies) for offset, copies in rows.items()} == dict.fromkeys(offsets, 1)
    ring = open_ring(pipeline.spec.keys.ring)
    for record, offset in zip(records, offsets, strict=True):
        (row,) = rows[offset]
        assert tuple(row["failed_rules"]) == record.reasons
        assert (row["kafka_timestamp"] is None) == (record.timestamp != FINE.timestamp)
        if not record.accepted:
            original = open_sealed(row["payload"], topic="far-plain", partition=0, offset=offset, ring=ring)
            assert original == Original(record.key, record.value, record.headers)
    found = audit_stream(pipeline, "plain", broker=Broker(bootstrap, {}), deeply=Deeply(ring))
    assert (found.findings, found.read, found.compared.once) == ((), len(records), len(records))
    assert found.compared.sealed == sum(not record.accepted for record in records)
    assert places_of(CANARY, tmp_path / "lake") == []
    assert ingest(spark, pipeline, bootstrap) == []


def test_sparks_own_source_fails_at_such_a_record(spark, bootstrap: str) -> None:
    """If this fails, Spark has learned to read them, and the driver need not."""
    send(bootstrap, "too-far", [replace(FINE, timestamp=NANOSECONDS)])
    reader = spark.read.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("subscribe", "too-far")
    with pytest.raises(Exception, match="long overflow"):
        reader.load().collect()
