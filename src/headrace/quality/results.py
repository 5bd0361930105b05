"""GX's own validation result of what was counted while the rows were written: counts, never a value."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import great_expectations
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import Expectation as GxExpectation
from great_expectations.validator.exception_info import ExceptionInfo
from great_expectations.validator.metrics_calculator import MetricsCalculator
from great_expectations.validator.validation_graph import ValidationGraph
from great_expectations.validator.validator import calc_validation_statistics
from pyspark.sql import DataFrame, SparkSession

from headrace.quality.catalogue import ROW_LEVEL
from headrace.quality.compile import BATCH, ROWS, RUNTIME, CompiledSuite, failed_count

COUNTS = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "missing_count",
    "missing_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)
"""What a rule's result keeps; GX would add sample values."""

OBSERVED = (
    "expect_table_row_count_to_equal",
    "expect_table_row_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_column_count_to_be_between",
    "expect_column_unique_value_count_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
    "expect_column_type_to_be",
)
"""Table-level types whose observed value is a count, a share or a type. A maximum, or a mean of one row, is a value."""


def validation_result(
    suite: CompiledSuite,
    counts: Mapping[str, int],
    *,
    frame: DataFrame | None = None,
    run_name: str = "",
    run_time: datetime | None = None,
) -> ExpectationSuiteValidationResult:
    """GX's result of a suite from the counts that ``count_aggregates`` names; here, and only here, ``mostly`` counts.

    Table-level expectations about row counts, columns and types need no data. The others are computed by GX on
    ``frame``, or, without one, left out and named in ``meta["not_evaluated"]``. ``run_time`` is now (UTC) by default.
    Raises ValueError when a count is missing.
    """
    wanted = {ROWS, *suite.metrics.values(), *(failed_count(rule.id) for rule in suite.rules)}
    if missing := sorted(wanted - counts.keys()):
        raise ValueError(f"suite {suite.name!r}: no count named {missing[0]!r}; expected those of count_aggregates")
    rules = {rule.id for rule in suite.rules}
    tables = _TableLevel(suite, counts, frame)
    results: list[ExpectationValidationResult] = []
    skipped: list[str] = []
    for rule_id, expectation in suite.gx.items():
        if rule_id in rules:
            results.append(_rule_result(suite, expectation, counts))
        elif (result := tables.result(expectation)) is not None:
            results.append(result)
        else:
            skipped.append(rule_id)
    statistics = calc_validation_statistics(results)
    return ExpectationSuiteValidationResult(
        success=statistics.success,
        results=results,
        suite_name=suite.name,
        statistics={
            "evaluated_expectations": statistics.evaluated_expectations,
            "successful_expectations": statistics.successful_expectations,
            "unsuccessful_expectations": statistics.unsuccessful_expectations,
            "success_percent": statistics.success_percent,
        },
        meta={
            "great_expectations_version": great_expectations.__version__,
            "run_id": RunIdentifier(run_name=run_name or suite.name, run_time=run_time or datetime.now(UTC)),
            "rows": int(counts[ROWS]),
            "not_evaluated": skipped,
        },
    )


def _rule_result(
    suite: CompiledSuite, expectation: GxExpectation, counts: Mapping[str, int]
) -> ExpectationValidationResult:
    engine = SparkDFExecutionEngine.__new__(SparkDFExecutionEngine)  # only its class is asked for
    needed = expectation.get_validation_dependencies(
        execution_engine=engine, runtime_configuration=copy.deepcopy(RUNTIME)
    ).metric_configurations
    metrics: dict[Any, Any] = {}
    for name, metric in needed.items():
        if metric.id in suite.metrics:
            metrics[metric.id] = int(counts[suite.metrics[metric.id]])
        else:
            metrics[metric.id] = [] if name.endswith(".unexpected_values") else None
    result = expectation.metrics_validate(
        metrics=metrics, execution_engine=engine, runtime_configuration=copy.deepcopy(RUNTIME)
    )
    return _without_values(result)


def _without_values(result: ExpectationValidationResult) -> ExpectationValidationResult:
    type_ = result.expectation_config.type if result.expectation_config else ""
    kept = COUNTS if type_ in ROW_LEVEL else ("observed_value",) if type_ in OBSERVED else ()
    result.success = bool(result.success)  # of a few types it is NumPy's, which is no JSON
    result.result = {name: result.result[name] for name in kept if name in result.result}
    return result


class _TableLevel:
    """GX on a frame, or on the schema alone with the row count given."""

    def __init__(self, suite: CompiledSuite, counts: Mapping[str, int], frame: DataFrame | None) -> None:
        self._schema, self._rows, self._frame = suite.schema, int(counts[ROWS]), frame
        self._engines: dict[bool, SparkDFExecutionEngine] = {}

    def result(self, expectation: GxExpectation) -> ExpectationValidationResult | None:
        """None where it needs data and there is no frame."""
        graph = self._graph(expectation, self._engine(on_frame=False))
        on_frame = any(not edge.left.metric_name.startswith("table.") for edge in graph.edges)
        if on_frame and self._frame is None:
            return None
        engine = self._engine(on_frame=on_frame)
        metrics: dict[Any, Any] = {}
        if not on_frame:
            metrics = {edge.left.id: self._rows for edge in graph.edges if edge.left.metric_name == "table.row_count"}
        graph = self._graph(expectation, engine)
        aborted = graph._resolve(  # pyright: ignore[reportPrivateUsage]
            metrics=metrics, runtime_configuration={"catch_exceptions": True}, show_progress_bars=False
        )
        try:
            result = expectation.metrics_validate(
                metrics=metrics, execution_engine=engine, runtime_configuration=copy.deepcopy(RUNTIME)
            )
        except Exception as error:  # as GX's own Validator does; its text may quote values, so only its kind is kept
            kind = type(error).__name__ + (" (a metric could not be computed)" if aborted else "")
            return ExpectationValidationResult(
                success=False,
                expectation_config=expectation.configuration,
                result={},
                exception_info=ExceptionInfo(exception_traceback="", exception_message=kind),
            )
        return _without_values(result)

    def _engine(self, *, on_frame: bool) -> SparkDFExecutionEngine:
        if on_frame not in self._engines:
            spark = self._frame.sparkSession if self._frame is not None else SparkSession.active()
            frame = self._frame if on_frame and self._frame is not None else spark.createDataFrame([], self._schema)
            engine = SparkDFExecutionEngine(persist=False, spark=spark)
            engine.load_batch_data(BATCH, frame)
            self._engines[on_frame] = engine
        return self._engines[on_frame]

    def _graph(self, expectation: GxExpectation, engine: SparkDFExecutionEngine) -> ValidationGraph:
        needed = expectation.get_validation_dependencies(
            execution_engine=engine, runtime_configuration=copy.deepcopy(RUNTIME)
        ).get_metric_configurations()
        calculator = MetricsCalculator(engine, show_progress_bars=False)
        return calculator.build_metric_dependency_graph(needed, runtime_configuration=RUNTIME)
