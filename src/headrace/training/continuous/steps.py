"""The table of steps: Booster, consumed versions, cut-off and number are one row of one commit, and that row is the progress.

A restart goes on from the newest row. The number is the commit's transaction of Delta's, so of two commits with one number the
second writes nothing; who made it reads back whose row is there.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from headrace.errors import CheckpointError, ModelError
from headrace.lake import delta
from headrace.lake.commit import append_once
from headrace.lake.maintain import vacuum
from headrace.lake.tables import create_table
from headrace.small_frames import frame_of
from headrace.training.continuous.rows import Position
from headrace.training.grown import StepTold

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

APP_ID = "headrace-training-step"
_SCHEMA = T.StructType(
    [
        T.StructField("step", T.LongType()),
        T.StructField("chain", T.LongType()),
        T.StructField("definition", T.StringType()),
        T.StructField("versions", T.MapType(T.StringType(), T.LongType())),
        T.StructField("as_of", T.TimestampType()),
        T.StructField("rows", T.LongType()),
        T.StructField("corrected", T.LongType()),
        T.StructField("trees", T.IntegerType()),
        T.StructField("added", T.IntegerType()),
        T.StructField("parameters", T.StringType()),
        T.StructField("settings", T.StringType()),
        T.StructField("started_from", T.StringType()),
        T.StructField("sha256", T.StringType()),
        T.StructField("booster", T.BinaryType()),
        T.StructField("created_at", T.TimestampType()),
        T.StructField("token", T.StringType()),
    ]
)


@dataclass(frozen=True)
class Step:
    """One step of training."""

    number: int
    chain: int
    """Number of the first step of this Booster."""
    definition: str
    """SHA-256 of the declared features and label; under others, another chain begins."""
    position: Position
    """How far the tables are consumed with this step."""
    rows: int
    corrected: int
    """Of the rows: those that were consumed before with another outcome."""
    trees: int
    added: int
    """Of the trees; 0 where the step moved leaves."""
    parameters: str
    """Versions of the published parameters (headrace.parameters.used)."""
    settings: str
    """JSON of what XGBoost was given."""
    started_from: str
    """What the chain began with: ``version N``, or ``nothing``."""
    booster: bytes | None = field(repr=False)
    """UBJSON; None where it was pruned."""
    sha256: str = ""
    created_at: datetime | None = None

    def told(self, table: str) -> StepTold:
        """What a candidate's run says of it. ``table``: of the steps."""
        return StepTold(
            table=table, step=self.number, chain=self.chain, versions=dict(self.position.versions), as_of=self.position.as_of,
            trees=self.trees, parameters=self.parameters, settings=self.settings, started_from=self.started_from,
            sha256=self.sha256,
        )  # fmt: skip


class Steps:
    """The table at a path, which is created where it is absent. ``what`` names it in messages."""

    def __init__(self, spark: SparkSession, path: str, *, what: str) -> None:
        create_table(spark, path, schema=_SCHEMA, statistics=("step", "chain"), change_data_feed=False)
        self._spark, self.path, self._what = spark, path, what

    @property
    def table_id(self) -> str:
        """Delta's id of the table: another one that lies there later has another."""
        return delta.table_id(self._spark, self.path)

    def newest(self) -> Step | None:
        """The step that a start goes on from, without its Booster's bytes, or None before the first."""
        rows = self._spark.read.format("delta").load(self.path).withColumn("booster", F.lit(None))
        row = rows.orderBy(F.desc("step")).first()
        return None if row is None else _step(row)

    def of_chain(self, chain: int) -> list[Step]:
        """The steps of a Booster, oldest first, without its bytes."""
        rows = self._spark.read.format("delta").load(self.path).where(F.col("chain") == chain)
        return [_step(row) for row in rows.withColumn("booster", F.lit(None)).orderBy("step").collect()]

    def with_booster(self, number: int) -> Step:
        """One step with its Booster. Raises ModelError where the bytes are not those that were committed."""
        row = self._spark.read.format("delta").load(self.path).where(F.col("step") == number).first()
        if row is None or row["booster"] is None:
            raise ModelError(f"step {number} of {self.path} has no Booster any more; begin anew with --anew")
        return _step(row)

    def commit(self, step: Step) -> Step:
        """Add a step. Raises CheckpointError where there is one of this number that is not this one: then nothing was written."""
        assert step.booster is not None
        token, sha256 = secrets.token_hex(8), hashlib.sha256(step.booster).hexdigest()
        values = (
            step.number, step.chain, step.definition, dict(step.position.versions), step.position.as_of, step.rows,
            step.corrected, step.trees, step.added, step.parameters, step.settings, step.started_from, sha256,
            step.booster, datetime.now(UTC), token,
        )  # fmt: skip
        told = {
            "headrace": "training step",
            "step": step.number,
            "versions": dict(step.position.versions),
            "sha256": sha256,
        }
        frame = frame_of(self._spark, [values], _SCHEMA).coalesce(1)
        append_once(frame, self.path, app_id=APP_ID, version=step.number, metadata=told, what=self._what)
        there = self._spark.read.format("delta").load(self.path).where(F.col("step") == step.number)
        if [row["token"] for row in there.select("token").collect()] != [token]:
            raise CheckpointError(
                f"step {step.number} of {self._what} was committed before by another job; nothing was written twice: let that one "
                "go on, or start again"
            )
        return self.with_booster(step.number)

    def prune(self, before: int) -> None:
        """Let go of the Boosters of steps before a number; what the steps say of themselves stays. Their files go a day later."""
        from delta.tables import DeltaTable

        old = (F.col("step") < before) & F.col("booster").isNotNull()
        if self._spark.read.format("delta").load(self.path).where(old).select("step").isEmpty():
            return
        DeltaTable.forPath(self._spark, self.path).update(old, {"booster": F.lit(None).cast("binary")})
        vacuum(self._spark, self.path, keep=timedelta(days=1))


def _step(row: Row) -> Step:
    booster = None if row["booster"] is None else bytes(row["booster"])
    if booster is not None and hashlib.sha256(booster).hexdigest() != row["sha256"]:
        raise ModelError(
            f"the Booster of step {row['step']} is not the one that was committed; restore the version of the table before that, "
            "or begin anew with --anew"
        )
    position = Position(dict(row["versions"]), row["as_of"].astimezone(UTC))
    return Step(
        row["step"], row["chain"], row["definition"], position, row["rows"], row["corrected"], row["trees"], row["added"],
        row["parameters"], row["settings"], row["started_from"], booster, row["sha256"], row["created_at"].astimezone(UTC),
    )  # fmt: skip
