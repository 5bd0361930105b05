"""Whatever bytes arrive: nothing is thrown, every record comes out once, and what is accepted is what the oracle reads.

Hypothesis finds the small example of a fault; the fuzz of tests/stream/poison takes many records through the whole ingest.
"""

from __future__ import annotations

import json
import random

import pyarrow as pa
from comparing import alike
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingested import array, struct
from judging import Verdict, judge
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from headrace.spec.stream import Stream
from headrace.stages.decode import REASONS, Decoder, decode, decoder
from headrace.stages.normalize import normalize

FIELDS = [("id", "string", False), ("at", "timestamp", False), ("n", "long", True), ("x", "double", True)]
SCHEMA = struct([*FIELDS, ("tags", array("string"), True)])
KIND = StructType.fromJson(SCHEMA)
STREAM = Stream.model_validate({"topic": "t", "schema": "x", "event_time": "at", "known_at": "at"})
_compiled: list[Decoder] = []

leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2013-01-01T00:00:00Z")
value = st.recursive(
    leaf, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=6
)
record = st.fixed_dictionaries({}, optional=dict.fromkeys((*KIND.names, "zz"), value)).map(
    lambda parts: {"id": "a", "at": "2013-01-01T00:00:00Z", **parts}
)


@st.composite
def payload(draw: st.DrawFn) -> bytes | None:
    """Arbitrary bytes, or a record, often with a few bytes changed, cut or doubled."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.none() | st.binary(max_size=40))
    text = json.dumps(draw(record), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if kind <= 2:
        return text
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 3))):
        at = chance.randrange(len(text) + 1)
        piece = chance.choice(
            [b"", b"{", b"}", b'"', b"\\", b",", b"[", b"]", b"0", b"\xff", b" ", b"\n", b":", b"NaN", text]
        )
        text = text[:at] + piece + text[at + chance.choice([0, 0, 1, 5]) :]
    return text


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(payload(), min_size=40, max_size=80))
def test_every_record_is_accounted_for(spark: SparkSession, values: list[bytes | None]) -> None:
    if not _compiled:
        _compiled.append(decoder(stream=STREAM, schema=KIND))
    records = pa.table({"value": pa.array(values, pa.binary()), "offset": pa.array(range(len(values)), pa.int64())})
    frame = normalize(decode(spark.createDataFrame(records), by=_compiled[0]), stream=STREAM, schema=KIND)
    found = frame.select("__offset", REASONS, *KIND.names).toArrow().sort_by("__offset").to_pylist()
    assert [row["__offset"] for row in found] == list(range(len(values)))
    for row, sent in zip(found, values, strict=True):
        judgement, reasons = judge(sent, SCHEMA, strict=False), row[REASONS]
        assert all(reason.startswith("decode:") for reason in reasons)
        if judgement.verdict is not Verdict.OPEN:
            assert (judgement.verdict is Verdict.ACCEPTED) == (not reasons), (sent, judgement, reasons)
        if not reasons:
            assert all(alike(row[name], told) for name, told in judgement.columns.items()), (sent, judgement, row)
