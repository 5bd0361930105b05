"""Java's classes, each looked up once: py4j asks the JVM anew each time, package by package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OF_PYSPARK = (
    "org.apache.spark.sql.functions",
    "org.apache.spark.sql.classic.SparkSession",
    "PythonSQLUtils",
    "PythonUtils",
    "functions",
)
"""What PySpark itself asks for at every step of an expression, by the names that it uses."""


def java_class(spark: SparkSession, name: str) -> Any:
    """A class by its full name. Raises TypeError, when it is used, where there is none."""
    jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
    if name not in vars(jvm):
        setattr(jvm, name, getattr(jvm, name))
    return vars(jvm)[name]


def remember_those_of_pyspark(spark: SparkSession) -> None:
    """Thousands of look-ups less in a small job (a class that this Spark lacks is simply not remembered)."""
    for name in _OF_PYSPARK:
        java_class(spark, name)
