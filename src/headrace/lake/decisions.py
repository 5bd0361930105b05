"""The trail of decisions about a model: who promoted, refused or rolled back which version, when and why. It can only grow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    IntegerType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headrace.errors import StorageError
from headrace.lake import delta
from headrace.lake.commit import append_once
from headrace.lake.tables import create_table
from headrace.small_frames import frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled_back"
CHECK = StructType(
    [
        StructField("name", StringType()),
        StructField("passed", BooleanType()),
        StructField("sentence", StringType()),
    ]
)
SCHEMA = StructType(
    [
        StructField("id", StringType()),
        StructField("decided_at", TimestampType()),
        StructField("who", StringType()),
        StructField("action", StringType()),
        StructField("model", StringType()),
        StructField("alias", StringType()),
        StructField("version", IntegerType()),
        StructField("previous_version", IntegerType()),
        StructField("why", StringType()),
        StructField("run_id", StringType()),
        StructField("checks", ArrayType(CHECK)),
    ]
)


@dataclass(frozen=True)
class Decision:
    """One decision. ``version`` is the one that it is about: promoted, refused, or brought back."""

    id: str
    decided_at: datetime
    """UTC."""
    who: str
    action: str
    model: str
    alias: str
    version: int
    previous_version: int | None
    """The version that the alias pointed to before; None where there was none."""
    why: str
    run_id: str
    """Of the training that made ``version``."""
    checks: tuple[tuple[str, bool, str], ...] = ()
    """Of the gate: name, whether it passed, sentence."""

    @property
    def moves(self) -> bool:
        """Whether the alias moved by it."""
        return self.action != REFUSED


def log_decision(spark: SparkSession, path: str, decision: Decision) -> None:
    """Add a decision in a commit of its own; one with the same id that is there already stays the only one.

    Raises StorageError where the trail can't be written.
    """
    create_table(spark, path, schema=SCHEMA, statistics=("decided_at",), change_data_feed=False)
    if delta.table_property(spark, path, "delta.appendOnly") != "true":
        delta.set_property(spark, path, "delta.appendOnly", "true")
    row = tuple(getattr(decision, field.name) for field in SCHEMA)
    told = {"headrace": "decision", "action": decision.action, "version": decision.version}
    frame = frame_of(spark, [row], SCHEMA).coalesce(1)
    append_once(frame, path, app_id=f"headrace-decision-{decision.id}", version=0, metadata=told)


def read_decisions(spark: SparkSession, path: str) -> list[Decision]:
    """All decisions, oldest first; none where no table is there. Raises StorageError where it can't be read."""
    if not delta.exists(spark, path):
        return []
    try:
        rows = spark.read.format("delta").load(path).collect()
    except Exception as error:
        raise StorageError(
            f"the trail of decisions {path} can't be read ({type(error).__name__}); restore it from a copy"
        ) from None
    found: list[Decision] = []
    for row in rows:
        told: dict[str, Any] = row.asDict()
        told["decided_at"] = row["decided_at"].astimezone(UTC)
        told["checks"] = tuple((one["name"], one["passed"], one["sentence"]) for one in row["checks"] or ())
        found.append(Decision(**told))
    return sorted(found, key=lambda one: (one.decided_at, one.id))


def next_moment(decisions: Sequence[Decision]) -> datetime:
    """Now (UTC), or right after the newest decision where a clock went back: the trail is in order by time."""
    now = datetime.now(UTC)
    return max(now, decisions[-1].decided_at + timedelta(microseconds=1)) if decisions else now


def champions(decisions: Iterable[Decision]) -> list[int]:
    """The versions that serve one above the other, as the decisions leave them: the last one serves, and a rollback takes away
    what stood above the version that it brought back.
    """  # fmt: skip
    stack: list[int] = []
    for one in decisions:
        if not one.moves:
            continue
        if one.previous_version is not None and (not stack or stack[-1] != one.previous_version):
            stack.append(one.previous_version)  # somebody moved the alias by hand
        if one.action == ROLLED_BACK and one.version in stack:
            while stack[-1] != one.version:
                stack.pop()
        else:
            stack.append(one.version)
    return stack
