"""A suite compiled into Spark columns, once per suite and schema, by the predicates of Great Expectations itself.

GX turns a map expectation into a Spark condition and then counts the rows that meet it. Compiling asks it for that
condition only (its metric ``<map_metric>.condition``), on an empty frame of the schema, so no Spark job runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

from great_expectations import ExpectationSuite
from great_expectations.exceptions import GreatExpectationsError
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.execution_engine.sparkdf_batch_data import SparkDFBatchData
from great_expectations.expectations.expectation import Expectation as GxExpectation
from great_expectations.validator.metric_configuration import MetricConfiguration, MetricConfigurationID
from great_expectations.validator.metrics_calculator import MetricsCalculator
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.errors import SpecError
from headrace.java_classes import java_class
from headrace.quality import like_patterns as _registered  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.quality.catalogue import NO_ROW_CONDITION, REFUSED, ROW_LEVEL, expectation_types
from headrace.quality.long_texts import is_too_long
from headrace.quality.suite import Expectation, Severity, Suite

BATCH = "batch"
RUNTIME: dict[str, Any] = {"result_format": {"result_format": "BASIC"}, "catch_exceptions": False}
ROWS = "rows"
"""Name of the count of rows that the rules saw."""


@dataclass(frozen=True)
class CompiledRule:
    """A row-level expectation. ``fails``: unbound boolean column, never null, true for a row that fails it."""

    id: str
    severity: Severity
    type: str
    columns: tuple[str, ...]
    fails: Column = field(repr=False)


@dataclass(frozen=True)
class CompiledSuite:
    """What labelling a row needs (``rules``), and what a GX result needs beyond the rules' own failures.

    ``counted``: by name of a count, the unbound boolean column whose true rows it counts.
    ``metrics``: by GX metric id, the name of the count that is the metric's value.
    ``gx``: GX's own expectation objects, by rule id.
    """

    name: str
    file: Path
    schema: StructType
    rules: tuple[CompiledRule, ...]
    table_level: tuple[Expectation, ...]
    gx: Mapping[str, GxExpectation] = field(repr=False)
    counted: Mapping[str, Column] = field(repr=False)
    metrics: Mapping[MetricConfigurationID, str] = field(repr=False)


def failed_count(rule_id: str) -> str:
    """Name of the count of rows that failed a rule."""
    return f"failed:{rule_id}"


def compile_suite(
    spark: SparkSession, *, schema: StructType, suite: Suite, sql: Callable[[str], str] = str
) -> CompiledSuite:
    """Compile a suite against the columns that its rules will see. Runs no Spark job.

    ``sql``: what a condition goes through before Spark reads it; it may raise.
    Raises SpecError, naming the suite's file and line, when GX or Spark refuses an expectation.
    """
    loaded = _load(suite)
    compiler = _Compiler(spark, schema, sql)
    rules: list[CompiledRule] = []
    for expectation in suite.expectations:
        if expectation.type in REFUSED:
            raise _refused(suite, expectation, REFUSED[expectation.type])
        if expectation.type not in ROW_LEVEL:
            continue
        if expectation.row_condition and expectation.type in NO_ROW_CONDITION:
            raise _refused(suite, expectation, f"row_condition: {NO_ROW_CONDITION[expectation.type]}")
        try:
            _check_regexes(spark, expectation.kwargs)
            fails = compiler.rule(loaded[expectation.rule_id], expectation)
        except (GreatExpectationsError, PySparkException, Py4JJavaError, ValueError, TypeError, KeyError) as error:
            raise _refused(suite, expectation, _first_line(error)) from None
        rules.append(
            CompiledRule(expectation.rule_id, expectation.severity, expectation.type, expectation.columns, fails)
        )
    used = set(compiler.metrics.values())
    return CompiledSuite(
        name=suite.name,
        file=suite.file,
        schema=schema,
        rules=tuple(rules),
        table_level=tuple(one for one in suite.expectations if one.type not in ROW_LEVEL),
        gx=MappingProxyType(loaded),
        counted=MappingProxyType({name: one for name, one in compiler.counted.items() if name in used}),
        metrics=MappingProxyType(compiler.metrics),
    )


def _load(suite: Suite) -> dict[str, GxExpectation]:
    """GX's expectation objects by rule id, in the suite's order."""
    loaded: dict[str, GxExpectation] = {}
    for entry, expectation in zip(suite.source["expectations"], suite.expectations, strict=True):
        if expectation.rule_id in loaded:
            raise _refused(suite, expectation, "this rule_id is given twice; give another")
        if expectation.type not in expectation_types():  # GX drops it, and says so only in its log
            raise _refused(suite, expectation, "Great Expectations does not know this type; run headrace check")
        config: dict[str, Any] = {
            "type": expectation.type,
            "kwargs": copy.deepcopy(entry.get("kwargs", {})),
            "meta": {**(entry.get("meta") or {}), "rule_id": expectation.rule_id},
            "severity": expectation.severity,
        }
        if expectation.notes:
            config["notes"] = expectation.notes
        try:
            taken = ExpectationSuite(name=suite.name, expectations=[config]).expectations
        except (GreatExpectationsError, ValueError, TypeError) as error:
            raise _refused(suite, expectation, " ".join(str(error).split())) from None
        if len(taken) != 1:
            raise _refused(suite, expectation, "Great Expectations dropped it; see its log and run headrace check")
        loaded[expectation.rule_id] = taken[0]
    return loaded


def _refused(suite: Suite, expectation: Expectation, reason: str) -> SpecError:
    return SpecError(f"{suite.file}:{expectation.line}: rule {expectation.rule_id!r} ({expectation.type}): {reason}")


def _first_line(error: Exception) -> str:
    if isinstance(error, Py4JJavaError):
        return str(error.java_exception.getMessage()).splitlines()[0]
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_regexes(spark: SparkSession, kwargs: Mapping[str, Any]) -> None:
    """Have Java compile each regex now: Spark would meet a wrong one only with the first row."""
    for regex in [kwargs.get("regex"), *(kwargs.get("regex_list") or [])]:
        if isinstance(regex, str):
            java_class(spark, "java.util.regex.Pattern").compile(regex)


class _DomainFrame:
    """Stands for the batch while GX narrows it to a metric's domain: keeps the filters instead of applying them."""

    def __init__(self, frame: DataFrame, sql: Callable[[str], str], filters: tuple[Column, ...] = ()) -> None:
        self._frame, self._sql, self.filters = frame, sql, filters

    def filter(self, condition: Column | str) -> _DomainFrame:
        column = F.expr(self._sql(condition)) if isinstance(condition, str) else condition
        return _DomainFrame(self._frame, self._sql, (*self.filters, column))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


class _Compiler:
    """GX's Spark engine over an empty frame; ``counted`` and ``metrics`` grow with each rule."""

    def __init__(self, spark: SparkSession, schema: StructType, sql: Callable[[str], str]) -> None:
        self._empty, self._sql = spark.createDataFrame([], schema), sql
        self._engine = SparkDFExecutionEngine(persist=False, spark=spark)
        self._engine.load_batch_data(BATCH, self._empty)
        self._calculator = MetricsCalculator(self._engine, show_progress_bars=False)
        self.counted: dict[str, Column] = {}
        self.metrics: dict[MetricConfigurationID, str] = {}

    def rule(self, expectation: GxExpectation, source: Expectation) -> Column:
        """The column that is true where a row fails; notes the counts that GX's result of it needs."""
        rule_id = source.rule_id
        base = str(expectation.map_metric)  # pyright: ignore[reportAttributeAccessIssue]
        needed = expectation.get_validation_dependencies(
            execution_engine=self._engine, runtime_configuration=dict(RUNTIME)
        ).metric_configurations
        fails, domain = self._failing(needed[f"{base}.unexpected_count"], base, unasked=is_too_long(source.kwargs))
        self._empty.select(fails)  # analysed here, so that an absent column or a wrong type is found now
        for name, metric in needed.items():
            if name == f"{base}.unexpected_count":
                self.metrics[metric.id] = failed_count(rule_id)
            elif name == "table.row_count":
                self._count(metric, f"in_scope:{rule_id}", self._domain(metric.metric_domain_kwargs))
            elif name.endswith(".filtered_row_count"):
                self._count(metric, f"compared:{rule_id}", domain)
            elif name.endswith(".unexpected_count"):
                other = name.removesuffix(".unexpected_count")
                self._count(metric, f"missing:{rule_id}", self._failing(metric, other)[0])
        return fails

    def _count(self, metric: MetricConfiguration, name: str, column: Column | None) -> None:
        if metric.id in self.metrics:
            return
        self.metrics[metric.id] = ROWS if column is None else name
        if column is not None:
            self.counted[name] = column

    def _failing(
        self, metric: MetricConfiguration, base: str, *, unasked: Column | None = None
    ) -> tuple[Column, Column | None]:
        """Where a row is in the metric's domain and unexpected, and the domain itself (None: every row).

        ``unasked``: a row where this is true fails without being asked.
        """
        unexpected, compute, accessor = self._condition(metric, base)
        domain = self._domain({**compute, **accessor})
        known = F.coalesce(unexpected, F.lit(False))
        known = known if unasked is None else F.when(unasked, True).otherwise(known)
        # CASE WHEN, as GX filters first: a predicate must not see (and, in ANSI mode, choke on) other rows
        return (known if domain is None else F.when(domain, known).otherwise(False)), domain

    def _condition(self, metric: MetricConfiguration, base: str) -> tuple[Column, dict[str, Any], dict[str, Any]]:
        values = {key: value for key, value in metric.metric_value_kwargs.items() if key != "result_format"}
        wanted = MetricConfiguration(f"{base}.condition", metric.metric_domain_kwargs, values)
        graph = self._calculator.build_metric_dependency_graph([wanted], runtime_configuration=RUNTIME)
        # the row count is a dependency that no condition uses; known beforehand, it costs no job
        resolved: dict[Any, Any] = {
            edge.left.id: 0 for edge in graph.edges if edge.left.metric_name == "table.row_count"
        }
        aborted = graph._resolve(  # pyright: ignore[reportPrivateUsage]
            metrics=resolved, runtime_configuration=RUNTIME, show_progress_bars=False
        )
        if aborted:
            messages = [info.exception_message for one in aborted.values() for info in one["exception_info"]]
            raise ValueError(messages[0])
        return resolved[wanted.id]

    def _domain(self, kwargs: Mapping[str, Any]) -> Column | None:
        cache = self._engine.batch_manager.batch_data_cache
        real = cache[BATCH]
        cache[BATCH] = SparkDFBatchData(self._engine, _DomainFrame(self._empty, self._sql))  # pyright: ignore[reportArgumentType]
        try:
            filters = self._engine.get_domain_records(dict(kwargs)).filters  # type: ignore[attr-defined]
        finally:
            cache[BATCH] = real
        return reduce(lambda a, b: a & b, filters) if filters else None
