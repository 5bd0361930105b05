"""Drift of a stream's records from their schema, told once: from a sample that the one pass over a batch takes along.

The shapes of up to some thousand records of a batch (all of them, where it is small) come back with the write, as one more
aggregate; what they mean is worked out by :mod:`headrace.ingest.drift_rules`. Its counts are kept in a small file beside the
data: losing those of a batch (the job died right behind its commit) only makes a change be told a little later.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headrace.ingest.drift_rules import DriftRules, Finding, Seen, Track
from headrace.ingest.watch import Batch, Watch
from headrace.lake import files
from headrace.lake.drift import Alert, read_alerts, remember_alerts
from headrace.lake.log import offsets
from headrace.stages.sample import UNREAD_END, sampled_shapes
from headrace.stages.shape import Shape, read_shape

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

MOST_ALERTS = 100
MOST_SHAPES = 200
"""So many different shapes of a batch are looked at, the most frequent first."""
FATES = {
    "ignore": "it is left out",
    "quarantine": "records with it are quarantined",
    "evolve": "records with it are quarantined",
}
_SHAPES = "__shapes"


class DriftLog:
    """Tells each change once per version of the pipeline file, whatever restarts."""

    def __init__(
        self, spark: SparkSession, *, stream: str, path: str, spec_version: str, on_alert: Callable[[Alert], None]
    ) -> None:  # fmt: skip
        self._spark, self._stream, self._path = spark, stream, path
        self._version, self._on_alert = spec_version, on_alert
        self._told: set[tuple[str, str]] | None = None

    def tell(self, findings: Iterable[Finding], *, batch_id: int) -> None:
        """Tell what was not told yet, and remember it."""
        if self._told is None:
            self._told = {_subject(a.kind, a.field) for a in read_alerts(self._spark, self._path) if self._counts(a)}
        new: list[Alert] = []
        for finding in findings:
            subject = _subject(finding.kind, finding.field)
            if subject in self._told or len(self._told) > MOST_ALERTS:
                continue
            self._told.add(subject)
            if len(self._told) > MOST_ALERTS:
                finding = Finding("more", "", "more changes are not told until the pipeline file changes")
            new.append(self._alert(finding, batch_id))
        for alert in new:
            self._on_alert(alert)
        if new:
            remember_alerts(self._spark, self._path, new)

    def _counts(self, alert: Alert) -> bool:
        return alert.spec_version == self._version or alert.kind == "added"

    def _alert(self, finding: Finding, batch_id: int) -> Alert:
        now = datetime.now(UTC)
        return Alert(self._stream, finding.kind, finding.field, finding.text, self._version, batch_id, now)


class DriftWatch(Watch):
    """Looks at a sample of each batch."""

    def __init__(self, spark: SparkSession, *, table: str, log: DriftLog) -> None:
        self._spark, self._log = spark, log
        self._file = f"{table}/_headrace/drift"
        self._rules: DriftRules | None = None

    def observed(self, batch: Batch) -> Mapping[str, Column]:
        """The shapes of the sample."""
        begin, end = offsets(batch.metadata["from"]), offsets(batch.metadata["until"])
        records = sum(offset - begin.get(partition, 0) for partition, offset in end.items())
        return {_SHAPES: sampled_shapes(records=records, largest=batch.way.stream.max_record_bytes)}

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """Count, and tell what is found."""
        if self._rules is None:
            self._rules = DriftRules(self._kept())
        seen = [
            one for text, count in Counter(observed[_SHAPES]).most_common(MOST_SHAPES) if (one := _seen(text, count))
        ]
        fate = FATES[batch.way.stream.unknown_fields]
        self._log.tell(self._rules.observe(seen, batch.way.schema, fate=fate), batch_id=batch.metadata["batch"])

        counts = {name: astuple(track) for name, track in self._rules.tracks.items()}
        files.write_text(self._spark, self._file, json.dumps(counts))

    def _kept(self) -> dict[str, Track]:
        text = files.read_text(self._spark, self._file)
        return {name: Track(*counts) for name, counts in json.loads(text).items()} if text else {}


def _subject(kind: str, field: str) -> tuple[str, str]:
    """What counts as told with an alert; a field that was renamed is missing, too."""
    return ("missing" if kind == "renamed" else kind, field)


def _seen(text: str, records: int) -> Seen | None:
    unread, _, shape = text.partition(UNREAD_END)
    read = _read(shape)
    return None if read is None else Seen(read, frozenset(filter(None, unread.split(","))), records)


@lru_cache(maxsize=1024)
def _read(text: str) -> Shape | None:
    try:
        return read_shape(text)
    except (ValueError, RecursionError):  # such as a document of a thousand levels
        return None
