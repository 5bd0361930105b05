"""A running scoring job: requests are held until they are ready, scored once, and committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.errors import StreamingQueryException
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.errors import ModelError, SpecError
from headrace.features.categories import NONE, Vocabularies, unseen
from headrace.ingest.abandon import abandoning
from headrace.ingest.failure import query_failure
from headrace.ingest.log_keeper import LogKeeper
from headrace.ingest.stream import Running
from headrace.lake import delta
from headrace.lake.commit import append_once
from headrace.lake.layout import Layout
from headrace.lake.log import offsets, read_log
from headrace.lake.tables import ACCEPTED, read_accepted
from headrace.serving.align import Alignment
from headrace.serving.encoding import model_vocabularies
from headrace.serving.failure import own_learner_failure
from headrace.serving.score import FeatureTables, score
from headrace.serving.waiting import Reading, WaitingBatch
from headrace.spec.features import Features
from headrace.spec.model import Model
from headrace.spec.model import Scoring as SpecScoring
from headrace.spec.pipeline import Pipeline
from headrace.training import registry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

REMIND_SECONDS = 10.0
APP_ID = "headrace-score"


@dataclass(frozen=True)
class ScoreReport:
    """One commit of predictions."""

    rows: int
    waiting: int
    """Micro-batches of requests of which some are not ready yet."""
    model_version: int
    degraded: bool
    seconds: float
    unseen: dict[str, int] = field(default_factory=dict[str, int])
    """Category to requests with a value that the model's vocabulary lacks: they got null."""


class Scoring:
    """A running scoring job. Use :func:`headrace.serving.run.start_scoring`."""

    def __init__(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        *,
        broker: Broker,
        requests: Running,
        publishing: StreamingQuery,
        release: ExitStack,
        on_score: Callable[[ScoreReport], None],
        notify: Callable[[str], None],
        topic_end: Callable[[], dict[int, int]],
        reading: Reading,
        log_keeper: LogKeeper,
    ) -> None:
        self._topic_end, self._reading, self._waiting = topic_end, reading, reading.waiting
        self._log_keeper = log_keeper
        self._pipeline, self._broker = pipeline, broker
        self._vocabularies: Vocabularies = NONE
        self._spark, (self._features, self._model, self._scoring) = spark, sections(pipeline)
        layout = Layout(pipeline.spec.lake.root)
        self._requests_path = layout.requests(self._model.name)
        self._predictions_path = layout.predictions(self._model.name)
        self._tables = {name: layout.events(name) for name in self._features.streams}
        self._alignment = Alignment(self._tables)
        self._requests, self._publishing, self._release = requests, publishing, release
        self._on_score, self._notify = on_score, notify
        self._loaded: registry.RegisteredModel | None = None
        self._reminded = time.monotonic()
        self._recovered = False

    def run(
        self, *, stop: threading.Event | None = None, finish: threading.Event | None = None, interval_seconds: float = 0.5
    ) -> None:  # fmt: skip
        """Score until ``stop`` is set, or until all requests are answered and published: those before the offsets at which
        ``until_caught_up`` or ``finish`` (once it is set) fixed the end of the topic.
        """
        stop = stop or threading.Event()
        with abandoning(self._spark, once=stop) as abandoned:
            try:
                self._loop(stop, finish=finish, interval_seconds=interval_seconds)
            except Exception:
                if not abandoned.is_set():
                    raise
            finally:
                self.close()

    def _loop(self, stop: threading.Event, *, finish: threading.Event | None, interval_seconds: float) -> None:
        end: dict[int, int] | None = None
        while True:
            if end is None and finish is not None and finish.is_set():
                end = self._topic_end()
            self._raise_publishing_error()
            ended = not self._requests.active or (end is not None and self._requests.writer.reached(end))
            done = self.step()
            if stop.is_set():
                break
            if ended and not self._waiting:
                with suppress(StreamingQueryException):
                    self._publishing.processAllAvailable()
                self._raise_publishing_error()
                break
            if not done:
                stop.wait(interval_seconds)

    def step(self) -> bool:
        """Answer what is ready now; whether there was anything. Never waits."""
        self._take_in_requests()
        if not self._waiting:
            return False
        self._alignment.follow(self._spark)
        ready, watermark, late = self._ready()
        answered = self._answer(ready, watermark=watermark, degraded=False)
        if late:
            answered = self._answer(late, watermark=None, degraded=True) or answered
        if not answered:
            self._remind()
        return answered

    def close(self) -> None:
        """Stop between two batches. Idempotent."""
        self._requests.writer.drain()
        for query in (self._requests.query, self._publishing):
            if query.isActive:
                query.stop()
        self._release.close()

    def _take_in_requests(self) -> None:
        entries = read_log(self._spark, self._requests_path, after=self._reading.seen)
        unanswered = None if self._recovered or not entries else self._unanswered()
        self._recovered = self._recovered or bool(entries)
        for entry in entries:
            self._reading.seen = entry.version
            if entry.batch is None or not entry.rows(ACCEPTED):
                continue
            if unanswered is None or entry.batch in unanswered:
                fence = {name: offsets(ends) for name, ends in entry.metadata["fence"].items()}
                self._waiting[entry.batch] = WaitingBatch(entry.version, fence, time.monotonic())

    def _unanswered(self) -> set[int]:
        """After a restart: the request batches of which some row has no prediction."""
        requests = read_accepted(self._spark, self._requests_path)
        left = requests.join(self._answered_ids(), F.col(self._features.id) == F.col("__answered"), "left_anti")
        return {int(row["batch_id"]) for row in left.select("batch_id").distinct().collect()}

    def _answered_ids(self) -> DataFrame:
        return self._spark.read.format("delta").load(self._predictions_path).select(F.col("id").alias("__answered"))

    def _ready(self) -> tuple[list[int], datetime | None, list[int]]:
        """Batches behind their fence, the watermark for the others, and batches that waited too long in live operation."""
        fenced = [batch for batch, waiting in self._waiting.items() if self._alignment.reached(waiting.fence)]
        limit, now = self._scoring.max_wait_seconds, time.monotonic()
        late = [b for b, waiting in self._waiting.items() if limit and b not in fenced and now - waiting.since > limit]
        return fenced, self._alignment.watermark(), late

    def _answer(self, batches: list[int], *, watermark: datetime | None, degraded: bool) -> bool:
        begun = time.monotonic()
        partial = [b for b in self._waiting if b not in batches and self._waiting[b].is_new_at(watermark)]
        if not batches and not partial:
            return False
        rows = self._chosen(batches, partial, watermark).persist()
        try:
            span = rows.agg(F.min("known_at"), F.max("known_at"), F.count_distinct(self._features.id)).first()
            count = int(span[2]) if span else 0
            if span and count:
                model = self._current_model()
                lacking = self._unseen(rows)
                self._commit(rows, (_utc(span[0]), _utc(span[1])), model=model, degraded=degraded, lacking=lacking)
                waiting, seconds = len(self._waiting) - len(batches), time.monotonic() - begun
                self._on_score(ScoreReport(count, waiting, model.version, degraded, seconds, lacking))
        finally:
            rows.unpersist()
        for batch in batches:
            del self._waiting[batch]
        for batch in partial:
            self._waiting[batch].answered_before = watermark
        return count > 0

    def _unseen(self, requests: DataFrame) -> dict[str, int]:
        """Category to requests with a value that the model's vocabulary lacks, where there are any."""
        counts = unseen(features=self._features, vocabularies=self._vocabularies)
        found = requests.agg(*(count.alias(name) for name, count in counts.items())).first() if counts else None
        return {name: int(found[name]) for name in counts if found[name]} if found else {}

    def _chosen(self, batches: list[int], partial: list[int], watermark: datetime | None) -> DataFrame:
        requests = read_accepted(self._spark, self._requests_path)
        chosen = F.col("batch_id").isin(batches)
        if partial:
            chosen = chosen | (F.col("batch_id").isin(partial) & (F.col("known_at") < F.lit(watermark)))
        return requests.where(chosen).join(
            self._answered_ids(), F.col(self._features.id) == F.col("__answered"), "left_anti"
        )

    def _commit(
        self,
        requests: DataFrame,
        span: tuple[datetime, datetime],
        *,
        model: registry.RegisteredModel,
        degraded: bool,
        lacking: dict[str, int],
    ) -> None:
        versions = {name: delta.version(self._spark, path) for name, path in self._tables.items()}
        last = delta.transaction(self._spark, self._predictions_path, APP_ID)
        number = 0 if last is None else last + 1
        tables = FeatureTables(self._tables, versions)
        rows = score(
            self._spark, requests, features=self._features, tables=tables, model=model, span=span, degraded=degraded,
            score_batch=number, released=self._alignment.released(after=span[0], until=span[1]),
            vocabularies=self._vocabularies,
        )  # fmt: skip
        metadata = {
            "headrace": "scores", "batch": number, "model": model.name, "model_version": model.version, "run": model.run_id,
            "versions": versions, **({"unseen": lacking} if lacking else {}),
        }  # fmt: skip
        try:
            append_once(
                rows, self._predictions_path, app_id=APP_ID, version=number, metadata=metadata, what=f"serving/{model.name}"
            )  # fmt: skip
        except Exception as error:
            told = own_learner_failure(error)
            if told is None:
                raise
            raise told from None
        self._log_keeper.count()

    def _current_model(self) -> registry.RegisteredModel:
        """The model behind the alias now (hot swap). Raises ModelError where there is none."""
        version = registry.champion_version(self._model.name, self._model.alias)
        if self._loaded is None or self._loaded.version != version:
            loaded = registry.load(self._model.name, version=version)
            if loaded.features != self._features.names:
                raise ModelError(
                    f"model {loaded.name} version {version} was trained on other features than the pipeline file declares; "
                    "train anew, or score with the file that trained it"
                )
            require_kind(loaded, self._model)
            self._vocabularies = model_vocabularies(
                self._spark, self._pipeline, self._features, loaded, broker=self._broker
            )
            self._loaded = loaded
        return self._loaded

    def _raise_publishing_error(self) -> None:
        failure = self._publishing.exception()
        if failure is not None:
            raise query_failure(str(failure), stream="publish", topic=self._scoring.topic) from None

    def _remind(self) -> None:
        if time.monotonic() - self._reminded > REMIND_SECONDS:
            self._reminded = time.monotonic()
            newest = self._waiting[max(self._waiting)]
            self._notify(f"waiting for ingest: {self._alignment.behind(newest.fence)}; is headrace ingest running?")


def require_kind(loaded: registry.RegisteredModel, declared: Model) -> None:
    """Raise ModelError where a version learned something else than the pipeline file declares: its answers have other columns."""
    if loaded.task.kind != declared.kind:
        raise ModelError(
            f"model {loaded.name} version {loaded.version} is a {loaded.task.kind} model, and the pipeline file declares a "
            f"{declared.kind} one; score with the file that trained it, or train under a model.name of its own"
        )


def sections(pipeline: Pipeline) -> tuple[Features, Model, SpecScoring]:
    """What a pipeline file says of scoring. Raises SpecError where it lacks a part."""
    spec = pipeline.spec
    if spec.features is None or spec.model is None or spec.scoring is None:
        raise SpecError(f"{pipeline.file} needs the sections features, model and scoring to score")
    return spec.features, spec.model, spec.scoring


def _utc(when: datetime) -> datetime:
    """What Spark's Python rows give (naive, in the driver's own zone) as an aware instant."""
    return when.astimezone(UTC)
