"""The scoring job: requests from the live topic, held until ready, scored once, committed, then published."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.connections import Broker, Tracking
from headrace.ingest.log_keeper import LogKeeper
from headrace.ingest.run import pipeline_ring
from headrace.ingest.silence import telling_silence
from headrace.ingest.source import stream_ends
from headrace.ingest.stream import start_stream
from headrace.ingest.writer import BatchReport
from headrace.lake.layout import Layout
from headrace.lake.lease import leased
from headrace.lake.tables import create_table
from headrace.serving.publish import ensure_topic, first_unpublished, start_publishing
from headrace.serving.score import predictions_schema
from headrace.serving.scoring import ScoreReport, Scoring, sections
from headrace.serving.waiting import Reading
from headrace.spec.pipeline import Pipeline
from headrace.stages.stages import prepare
from headrace.training import registry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def start_scoring(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker,
    tracking: Tracking,
    until_caught_up: bool,
    starting_at: datetime | None = None,
    trigger_seconds: float = 1.0,
    on_batch: Callable[[BatchReport], None] = lambda report: None,
    on_score: Callable[[ScoreReport], None] = lambda report: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Scoring:
    """Start reading requests and publishing predictions; call ``run`` on what comes back.

    ``starting_at``: at the job's very first start, begin with the requests that were sent at or after this instant.
    Raises SpecError where the file declares no scoring, ModelError where no model has the alias, and as ingest does.
    """
    features, model, scoring = sections(pipeline)
    registry.open_tracking(tracking)
    registry.champion_version(model.name, model.alias)
    layout, name = Layout(pipeline.spec.lake.root), model.name
    ensure_topic(scoring.topic, broker=broker)

    def topic_end() -> dict[int, int]:
        return stream_ends(pipeline, [features.requests], broker=broker)[features.requests]

    def fence() -> dict[str, object]:
        return {"fence": stream_ends(pipeline, features.streams, broker=broker)}

    release, reading = ExitStack(), Reading()
    keep = pipeline.spec.lake.versions_kept
    published = layout.checkpoint(f"score/{name}/publish")
    try:
        create_table(
            spark, layout.predictions(name), schema=predictions_schema(features, model.kind), statistics=("at", "score_batch")
        )  # fmt: skip
        release.enter_context(telling_silence(broker, notify=notify))
        release.enter_context(leased(spark, layout.predictions(name), what=f"serving/{name}", notify=notify))
        way = prepare(spark, pipeline, features.requests, ring=pipeline_ring(pipeline, notify=notify))
        requests = start_stream(
            spark, way, release=release, what=f"serving/{name}/requests", table=layout.requests(name),
            checkpoint=layout.checkpoint(f"score/{name}/requests"), broker=broker, name="requests",
            until_caught_up=until_caught_up, trigger_seconds=trigger_seconds, on_batch=on_batch, annotate=fence,
            keep_payload=False, starting_at=starting_at, notify=notify, keep=keep, needed=reading.needed,
        )  # fmt: skip
        publishing = start_publishing(
            spark, predictions=layout.predictions(name), checkpoint=published,
            topic=scoring.topic, broker=broker, trigger_seconds=trigger_seconds, kind=model.kind,
        )  # fmt: skip
    except BaseException:
        release.close()
        raise
    return Scoring(
        spark, pipeline, broker=broker, requests=requests, publishing=publishing, release=release, on_score=on_score, notify=notify,
        topic_end=topic_end, reading=reading,
        log_keeper=LogKeeper(
            spark, table=layout.predictions(name), keep=keep, needed=lambda: first_unpublished(spark, checkpoint=published)
        ),
    )  # fmt: skip
