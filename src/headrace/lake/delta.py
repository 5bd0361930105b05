"""What Spark's own API does not offer of a Delta table: its version, its transactions and its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.java_classes import java_class

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def exists(spark: SparkSession, path: str) -> bool:
    """Whether a Delta table is at ``path``."""
    from delta.tables import DeltaTable

    return DeltaTable.isDeltaTable(spark, path)


def version(spark: SparkSession, path: str) -> int:
    """Newest version of the table."""
    return int(snapshot(spark, path).version())


def table_id(spark: SparkSession, path: str) -> str:
    """The id that Delta gave the table when it was made."""
    return str(snapshot(spark, path).metadata().id())


def rows_by_partition(spark: SparkSession, path: str) -> dict[tuple[str, str], int]:
    """``(ingest_date, verdict)`` to the rows that the table's files say they hold. No data is read."""
    from pyspark.sql import functions as F

    rows = F.sum(F.get_json_object("stats", "$.numRecords").cast("long"))
    keys = [F.col(f"partitionValues.{name}").alias(name) for name in ("ingest_date", "verdict")]
    return {(row[0], row[1]): int(row[2] or 0) for row in data_files(spark, path).groupBy(*keys).agg(rows).collect()}


def data_files(spark: SparkSession, path: str) -> DataFrame:
    """The table's files as Delta's log has them: ``path``, ``partitionValues``, ``size``, ``stats`` (JSON) and more."""
    from pyspark.sql import DataFrame

    return DataFrame(snapshot(spark, path).allFiles().toDF(), spark)


def transaction(spark: SparkSession, path: str, app_id: str) -> int | None:
    """The ``txnVersion`` last committed under ``app_id``; Delta silently skips a write at or below it."""
    transactions = snapshot(spark, path).setTransactions()
    found = [t.version() for t in (transactions.apply(i) for i in range(transactions.size())) if t.appId() == app_id]
    return max(found) if found else None


def table_property(spark: SparkSession, path: str, name: str) -> str | None:
    """A property of the table as of its newest version, or None where it has none of that name."""
    return property_of(snapshot(spark, path), name)


def property_of(snapshot: Any, name: str) -> str | None:
    """The same, of a snapshot."""
    found = snapshot.metadata().configuration().get(name)
    return str(found.get()) if found.isDefined() else None


def set_property(spark: SparkSession, path: str, name: str, value: str) -> None:
    """Set a property in one commit: a change of metadata, which fails every append that began before it."""
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    spark.sql(f"ALTER TABLE {identifier(path)} SET TBLPROPERTIES ('{name}' = '{text}')")


def identifier(path: str) -> str:
    """How SQL names the table at ``path``."""
    return f"delta.`{path.replace('`', '``')}`"


def java(spark: SparkSession) -> Any:
    """Spark's own session object, in the JVM."""
    return spark._jsparkSession  # pyright: ignore[reportPrivateUsage]


def delta_log(spark: SparkSession, path: str) -> Any:
    """Delta's own view of the table, in the JVM."""
    return java_class(spark, "org.apache.spark.sql.delta.DeltaLog").forTable(java(spark), path)


def snapshot(spark: SparkSession, path: str) -> Any:
    """The table as of its newest version, in the JVM."""
    none = java_class(spark, "scala.Option").empty()
    return delta_log(spark, path).update(False, none, none)
