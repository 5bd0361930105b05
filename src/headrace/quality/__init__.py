"""Data quality: Great Expectations suites that label each row in the pass that writes it.

``check_suite`` judges a suite file without Spark; ``compile_suite`` turns it into columns; ``failed_rules``,
``failed_critical`` and ``count_aggregates`` are what a stage adds to its one projection; ``validation_result`` and
``write_data_docs`` give what people know from Great Expectations, from counts alone.

Great Expectations and PySpark are imported only when a name that needs them is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from headrace.quality.catalogue import REFUSED, ROW_LEVEL
from headrace.quality.check import check_suite
from headrace.quality.suite import Expectation, Suite, read_suite, row_condition_sql

if TYPE_CHECKING:
    from headrace.quality.compile import CompiledRule, CompiledSuite, compile_suite
    from headrace.quality.data_docs import write_data_docs
    from headrace.quality.label import count_aggregates, failed_critical, failed_rules
    from headrace.quality.results import validation_result

__all__ = [
    "REFUSED",
    "ROW_LEVEL",
    "CompiledRule",
    "CompiledSuite",
    "Expectation",
    "Suite",
    "check_suite",
    "compile_suite",
    "count_aggregates",
    "failed_critical",
    "failed_rules",
    "read_suite",
    "row_condition_sql",
    "validation_result",
    "write_data_docs",
]

_LATER = {
    "CompiledRule": "compile",
    "CompiledSuite": "compile",
    "compile_suite": "compile",
    "count_aggregates": "label",
    "failed_critical": "label",
    "failed_rules": "label",
    "validation_result": "results",
    "write_data_docs": "data_docs",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
