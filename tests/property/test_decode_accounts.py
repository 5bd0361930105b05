"""Whatever bytes arrive: nothing is thrown, every record comes out once, and what is accepted is whole."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.spec.stream import Stream
from headrace.stages.decode import REASONS, Decoder, decode, decoder

SCHEMA = StructType.fromJson(
    {
        "type": "struct",
        "fields": [
            {"name": "id", "type": "string", "nullable": False, "metadata": {}},
            {"name": "at", "type": "timestamp", "nullable": False, "metadata": {}},
            {"name": "n", "type": "long", "nullable": True, "metadata": {}},
            {"name": "x", "type": "double", "nullable": True, "metadata": {}},
            {
                "name": "tags",
                "type": {"type": "array", "elementType": "string", "containsNull": True},
                "nullable": True,
                "metadata": {},
            },
        ],
    }
)
LIMIT = 4096
_compiled: list[Decoder] = []

leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2013-01-01T00:00:00Z")
value = st.recursive(
    leaf, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=6
)
record = st.fixed_dictionaries({}, optional=dict.fromkeys((*SCHEMA.names, "zz"), value)).map(
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


def strictly(data: bytes | None) -> dict[str, Any] | None:
    """The record as Python's own reader sees it, or None where it is no JSON object."""
    try:
        found = json.loads((data or b"").decode("utf-8"), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(payload(), min_size=40, max_size=80))
def test_every_record_is_accounted_for(spark: SparkSession, values: list[bytes | None]) -> None:
    if not _compiled:
        options = {"topic": "t", "schema": "x", "event_time": "at", "known_at": "at", "max_record_bytes": LIMIT}
        _compiled.append(decoder(stream=Stream.model_validate(options), schema=SCHEMA))
    records = pa.table({"value": pa.array(values, pa.binary()), "offset": pa.array(range(len(values)), pa.int64())})
    frame = decode(spark.createDataFrame(records), by=_compiled[0]).withColumn("at", F.col("at").cast("string"))
    found = sorted(frame.select("__offset", REASONS, "id", "at", "n", "x", "tags").collect())
    assert [row["__offset"] for row in found] == list(range(len(values)))
    for row, sent in zip(found, values, strict=True):
        parsed = strictly(sent)
        if row[REASONS]:
            assert all(reason.startswith("decode:") for reason in row[REASONS])
        else:
            assert parsed is not None, f"accepted, though it is no JSON object: {sent!r}"
            assert row["id"] is not None
            assert row["at"] is not None
            for name in ("n", "x"):
                assert row[name] == parsed.get(name), sent
            assert (row["tags"] is None) == (parsed.get("tags") is None), sent
        if parsed is None:
            assert row[REASONS], sent
