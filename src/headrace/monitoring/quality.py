"""GX-native validation results and Data Docs of what a run has checked, from counts alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.ingest.writer import BatchReport

if TYPE_CHECKING:
    from headrace.quality import CompiledSuite


class QualityLog:
    """Adds up the counts of all micro-batches of a run; ``write`` makes the results of them."""

    def __init__(self, home: Path) -> None:
        """``home``: results (JSON and HTML) go to its folder ``data_docs``."""
        self._home, self._lock = home, threading.Lock()
        self._counts: dict[str, Counter[str]] = {}

    def on_batch(self, report: BatchReport) -> None:
        """Take in a finished micro-batch."""
        if report.checks:
            with self._lock:
                self._counts.setdefault(report.stream, Counter()).update(report.checks)

    def write(self, suites: Mapping[str, CompiledSuite]) -> Path | None:
        """Write one GX result per stream, and its page; the index page of the Data Docs, or None where nothing was checked."""
        from headrace.quality import validation_result, write_data_docs

        with self._lock:
            counted = {name: dict(counts) for name, counts in self._counts.items() if name in suites}
        if not counted:
            return None
        now = datetime.now(UTC)
        results = [
            validation_result(suites[name], counts, run_name=f"ingest {name}", run_time=now)
            for name, counts in counted.items()
        ]
        return write_data_docs(self._home / "data_docs", results=results)
