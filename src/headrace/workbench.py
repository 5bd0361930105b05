"""A pipeline's tables, predictions and model runs in one hand: what ``headrace.open("conf/flights")`` gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.connections import connect_tracking, home_folder
from headrace.errors import AccountingError, HeadraceError, ModelError, SpecError, StorageError
from headrace.history import commit_frame, decision_frame, parameter_frame, run_frame
from headrace.ingest.findings import Findings
from headrace.ingest.replay import rehearse
from headrace.ingest.selection import Selection
from headrace.lake import delta
from headrace.lake.decisions import read_decisions
from headrace.lake.drift import Alert, read_alerts
from headrace.lake.layout import Layout
from headrace.lake.log import read_log
from headrace.lake.release import RELEASED
from headrace.lake.tables import count_failed_rules, read_accepted, read_accepted_stream, read_quarantine
from headrace.parameters.table import read_table
from headrace.privacy.keys import open_ring
from headrace.session import spark_session
from headrace.spec import Pipeline, load
from headrace.stages.opened import opened
from headrace.training import registry
from headrace.training.learners.checked import importance_of
from headrace.training.snapshot import read_snapshot

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from headrace.spec.model import Model

_OWN_COLUMNS = frozenset(
    {
        "kafka_topic",
        "kafka_partition",
        "kafka_offset",
        "verdict",
        "failed_rules",
        "batch_id",
        "spec_version",
        "payload",
        *RELEASED.fieldNames(),
    }
)


@dataclass(frozen=True)
class Record:
    """What became of one Kafka record."""

    stream: str
    verdict: str
    failed_rules: tuple[str, ...]
    """Decode reasons, then the ids of failed rules (warnings too)."""
    batch: int
    spec_version: str
    """Version of the pipeline file that was in force (``Pipeline.version``)."""
    ingested_at: datetime
    released_at: datetime | None
    """When a replay accepted it, or None where none did."""
    released_by: str | None
    """Version of the pipeline file by which it did."""
    columns: dict[str, Any]
    """The stream's own columns as they are in the table, protected ones as pseudonyms; times are naive UTC."""


@dataclass(frozen=True)
class Workbench:
    """Reads everything, writes nothing. Tables are read anew by each call and each query of a view."""

    spark: SparkSession
    pipeline: Pipeline

    @property
    def streams(self) -> tuple[str, ...]:
        """The declared streams that have a table by now."""
        return tuple(name for name in self.pipeline.spec.streams if delta.exists(self.spark, self._layout.events(name)))

    def accepted(self, stream: str) -> DataFrame:
        """The stream's accepted rows: its own columns, ``event_time``, ``known_at``, the Kafka coordinates, ``failed_rules``
        (warnings), ``batch_id``. Raises SpecError for a stream that is not declared, StorageError where it has no table yet.
        """  # fmt: skip
        return read_accepted(self.spark, self._events(stream))

    def opened(self, stream: str, *paths: str) -> DataFrame:
        """As :meth:`accepted`, with the encrypted values at these paths in clear (``string``). It needs the pipeline's key ring.

        Raises SpecError for a path that is not encrypted, KeyRingError where the ring can't be read.
        """
        ring = open_ring(self.pipeline.spec.keys.ring)
        return opened(self.accepted(stream), stream=self.pipeline.spec.streams[stream], paths=paths, ring=ring)

    def quarantine(self, stream: str) -> DataFrame:
        """The stream's quarantined rows, ``failed_rules`` and the sealed ``payload`` among their columns. Raises as above."""
        return read_quarantine(self.spark, self._events(stream))

    def rehearse(
        self, stream: str, *, rules: Iterable[str] = (), start: datetime | None = None, end: datetime | None = None
    ) -> Findings:
        """What ``headrace replay`` of these rows would release by the pipeline file as it was opened, as counts; it opens
        payloads on the workers, and changes nothing.

        Raises KeyRingError where the key ring is absent or does not open them, and as above.
        """
        self._events(stream)
        selection = Selection(rules=tuple(rules), start=start, end=end)
        return rehearse(self.spark, self.pipeline, stream=stream, selection=selection)

    def accepted_stream(self, stream: str) -> DataFrame:
        """The accepted rows as a streaming frame, with ``_change_type``: insert, update_postimage (released), delete (erased)."""
        return read_accepted_stream(self.spark, self._events(stream))

    def predictions(self) -> DataFrame:
        """``id``, ``at`` (T), the answer (``probability`` of a condition), ``model_version``, the feature values used,
        ``degraded``, ``scored_at``.

        Raises StorageError where nothing was scored yet.
        """
        path = self._layout.predictions(self._model.name)
        self._require(path, f"model {self._model.name!r} has no predictions yet; run: headrace score {self._where}")
        return self.spark.read.format("delta").load(path)

    def record(self, topic: str, partition: int, offset: int) -> Record:
        """The one row of a Kafka record, by its coordinates.

        Raises SpecError for a topic of no stream, HeadraceError where the record is not in the table, and AccountingError
        where it is there twice.
        """
        stream = self._stream_of(topic)
        rows = (
            self.spark.read.format("delta")
            .load(self._events(stream))
            .where(f"kafka_partition = {int(partition)} and kafka_offset = {int(offset)}")
            .limit(2)
            .collect()
        )
        where = f"record {topic}/{partition}/{offset}"
        if not rows:
            raise HeadraceError(f"{where} is not in the table of stream {stream!r}: not ingested yet, or erased")
        if len(rows) > 1:
            raise AccountingError(
                f"{where} is in the table of stream {stream!r} more than once; stop ingest and find out why"
            )
        row = rows[0].asDict()
        return Record(
            stream=stream,
            verdict=row["verdict"],
            failed_rules=tuple(row["failed_rules"] or ()),
            batch=row["batch_id"],
            spec_version=row["spec_version"],
            ingested_at=row["ingested_at"],
            released_at=row.get("released_at"),
            released_by=row.get("released_by"),
            columns={name: value for name, value in row.items() if name not in _OWN_COLUMNS | {"ingested_at"}},
        )

    def commits(self, stream: str) -> pd.DataFrame:
        """The commits of the stream's table, oldest first, as far back as its log reaches: ``version``, ``committed_at`` (UTC),
        ``operation``, ``batch`` (null where no micro-batch wrote it), ``from_offsets`` and ``until_offsets`` (partition to
        offset), ``accepted``, ``quarantined``, ``duplicate`` (rows that it brought), ``released`` (rows that it moved),
        ``spec_version``.
        """  # fmt: skip
        return commit_frame(read_log(self.spark, self._events(stream)))

    def rules(self) -> pd.DataFrame:
        """How often each decode reason or rule failed in all streams that have a table: ``stream``, ``rule``, ``verdict`` of
        the rows (accepted rows have warnings), ``rows``; most frequent first.
        """  # fmt: skip
        import pandas as pd

        counted = [self._rules(stream) for stream in self.streams]
        if not counted:
            return pd.DataFrame(columns=["stream", "rule", "verdict", "rows"])
        return (
            reduce(lambda one, other: one.union(other), counted)
            .orderBy("rows", "rule", ascending=[False, True])
            .toPandas()
        )

    def drift(self) -> pd.DataFrame:
        """What changed in the streams' records, each told once per version of the pipeline file, oldest first: ``stream``,
        ``kind`` (unknown, added, missing, renamed, type, more), ``field``, ``text``, ``spec_version``, ``batch_id``, ``seen_at``.
        """  # fmt: skip
        import pandas as pd

        names = [field.name for field in fields(Alert)]
        told = [
            alert
            for stream in self.pipeline.spec.streams
            for alert in read_alerts(self.spark, self._layout.drift(stream))
        ]
        return pd.DataFrame([astuple(alert) for alert in told], columns=names).sort_values(
            ["seen_at", "stream"], ignore_index=True
        )

    def parameters(self) -> pd.DataFrame:
        """Every version of published parameters, by their copy in the lake: ``name``, ``version``, ``as_of``, ``made_at`` (UTC),
        ``current``, ``pinned`` (bool), ``sources`` (stream to table version), ``value``; none where nothing was published.
        """  # fmt: skip
        return parameter_frame(read_table(self.spark, self.pipeline))

    def runs(self) -> pd.DataFrame:
        """The experiment's runs, newest first: ``run_id``, ``name``, ``started_at`` (UTC), ``status``, ``as_of``, ``gate``
        (passed, refused, or null), ``version`` (of the registered model), ``champion`` (bool), then each logged metric.

        Raises ModelError where no MLflow store answers.
        """
        return run_frame(self._open_tracking(), model=self._model)

    def decisions(self) -> pd.DataFrame:
        """Every decision about the model, oldest first: ``decided_at`` (UTC), ``who``, ``action`` (promoted, refused, rolled_back),
        ``version``, ``previous_version`` (that the alias pointed to before), ``why``, ``run_id``, ``id``.
        """  # fmt: skip
        return decision_frame(read_decisions(self.spark, self._layout.decisions(self._model.name)))

    def model(self) -> registry.RegisteredModel:
        """The version that the alias (``champion``) points to, loaded and checked. Raises ModelError where there is none."""
        self._open_tracking()
        name, alias = self._model.name, self._model.alias
        version = registry.alias_version(name, alias)
        if version is None:
            raise ModelError(
                f"model {name!r} has no version with the alias {alias!r}; run: headrace train {self._where}"
            )
        return registry.load(name, version=version)

    def importance(self) -> pd.Series:
        """Each feature's share of the champion's total gain (of another learner than boosting: of what it says of them), largest
        first; features that it does not use are absent.
        """  # fmt: skip
        import pandas as pd

        return pd.Series(importance_of(self.model().fitted), name="share of gain", dtype="float64")

    def training_rows(self, run_id: str) -> DataFrame:
        """The rows a run was trained and tested on: ``id``, ``at``, the features, ``label``, ``label_known_at``.

        Raises StorageError where the run has no snapshot.
        """
        path = self._layout.snapshot(run_id)
        self._require(path, f"run {run_id!r} has no training snapshot in {self._layout.root}; runs() lists the runs")
        return read_snapshot(self.spark, path)

    @property
    def _layout(self) -> Layout:
        return Layout(self.pipeline.spec.lake.root)

    @property
    def _where(self) -> str:
        return str(self.pipeline.folder)

    @property
    def _model(self) -> Model:
        if self.pipeline.spec.model is None:
            raise SpecError(f"{self.pipeline.file} declares no model; add a section 'model' to train and score")
        return self.pipeline.spec.model

    def _rules(self, stream: str) -> DataFrame:
        counted = count_failed_rules(self.spark, self._events(stream))
        return counted.selectExpr(f"'{stream}' as stream", "rule", "verdict", "rows")

    def _events(self, stream: str) -> str:
        if stream not in self.pipeline.spec.streams:
            raise SpecError(f"unknown stream {stream!r}: expected one of {', '.join(self.pipeline.spec.streams)}")
        path = self._layout.events(stream)
        self._require(path, f"stream {stream!r} has no table at {path} yet; run: headrace ingest {self._where}")
        return path

    def _stream_of(self, topic: str) -> str:
        topics = {stream.topic: name for name, stream in self.pipeline.spec.streams.items()}
        if topic not in topics:
            raise SpecError(f"no stream reads topic {topic!r}: expected one of {', '.join(topics)}")
        return topics[topic]

    def _require(self, path: str, otherwise: str) -> None:
        if not delta.exists(self.spark, path):
            raise StorageError(otherwise)

    def _open_tracking(self) -> str:
        return registry.open_tracking(connect_tracking(self.pipeline, home=home_folder()))


def open_workbench(pipeline: str | Path, *, settings: Mapping[str, str]) -> Workbench:
    """The workbench of the pipeline in a folder or file, with a Spark session and temporary views of what is there by now:
    each stream's accepted rows under its name, ``quarantine_<stream>``, and ``predictions``.

    ``settings``: Spark settings of a new session. Raises SpecError, and PrerequisiteError where Java is missing.
    """  # fmt: skip
    loaded = load(pipeline)
    bench = Workbench(spark_session(app=f"headrace {loaded.name}", settings=settings), loaded)
    layout = Layout(loaded.spec.lake.root)
    if loaded.spec.model is not None and delta.exists(bench.spark, layout.predictions(loaded.spec.model.name)):
        bench.predictions().createOrReplaceTempView("predictions")
    for stream in bench.streams:
        bench.quarantine(stream).createOrReplaceTempView(f"quarantine_{stream}")
        bench.accepted(stream).createOrReplaceTempView(stream)
    return bench
