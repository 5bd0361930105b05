"""From a registered version to a decision: the evidence, the verdict, the card in MLflow, the trail, the alias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.lake.layout import Layout
from headrace.spec.learners import BOOSTING
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training import evaluate, registry
from headrace.training.card import Card, blocks
from headrace.training.champion import current_champion
from headrace.training.chosen import as_seen_by
from headrace.training.dataset import Dataset
from headrace.training.decide import GATE, settle
from headrace.training.evidence import Champion, Evidence
from headrace.training.fit import uncalibrated
from headrace.training.gate import Check, Verdict, judge
from headrace.training.gather import gather
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.checked import importance_of
from headrace.training.learners.protocol import Fitted
from headrace.training.page import Picture, as_html, as_markdown
from headrace.training.task import BINARY, Task
from headrace.training.truth import truth_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from headrace.training.apart import Apart


@dataclass(frozen=True)
class Challenger:
    """A version that was just registered, and the rows that made and test it."""

    version: int
    run_id: str
    fitted: Fitted
    train: pa.Table | Apart
    test: pa.Table
    tested_from: datetime
    content_hash: str
    code: str
    task: Task = BINARY


def decide(spark: SparkSession, pipeline: Pipeline, dataset: Dataset, challenger: Challenger) -> Verdict:
    """Judge a challenger, log its card to the active run, put the decision on the trail, and move the alias if it passed.

    Raises ModelError where MLflow refuses something, StorageError where the trail can't be written; then nothing was promoted.
    """
    import mlflow

    model = pipeline.spec.model
    assert model is not None
    champion = current_champion(model)
    seen = None if champion is None else as_seen_by(
        champion, challenger.test, spark=spark, pipeline=pipeline, encoded_with=dataset.vocabularies
    )  # fmt: skip
    evidence = gather(
        model.gate, challenger.fitted, features=dataset.features, train=challenger.train, test=challenger.test,
        champion=champion, seed=model.seed, seen=seen, task=challenger.task,
    )  # fmt: skip
    verdict = _unmoved(model, champion, judge(model.gate, evidence))
    mlflow.log_dict(_as_json(evidence, verdict), "gate.json")
    mlflow.set_tag(GATE, "passed" if verdict.passed else "refused")
    _log_card(pipeline, dataset, challenger, evidence, verdict)
    settle(
        spark, Layout(pipeline.spec.lake.root), model, version=challenger.version, run_id=challenger.run_id,
        previous=champion.version if champion else None, verdict=verdict,
    )  # fmt: skip
    return verdict


def _unmoved(model: Model, champion: Champion | None, verdict: Verdict) -> Verdict:
    """The verdict; a refusal where the alias moved while the challenger was held against what it pointed to."""
    now, then = registry.alias_version(model.name, model.alias), champion.version if champion else None
    if now == then:
        return verdict
    sentence = f"the alias {model.alias} moved from version {then} to {now} meanwhile; train again"
    return Verdict((*verdict.checks, Check("alias", False, sentence)))


def _log_card(
    pipeline: Pipeline, dataset: Dataset, challenger: Challenger, evidence: Evidence, verdict: Verdict
) -> None:  # fmt: skip
    import mlflow

    truth = truth_of(challenger.test, challenger.task)
    answers = challenger.fitted.predict(challenger.test, features=dataset.features)
    calibrated = truth.calibration(truth.aligned(answers, challenger.task.classes))
    fitted, model = challenger.fitted, pipeline.spec.model
    assert model is not None
    share = importance_of(fitted)
    raw = (
        uncalibrated(fitted.booster, challenger.test, features=dataset.features)
        if isinstance(fitted, Boosted)
        else None
    )
    pictured = evaluate.importance_plot(share, of="gain" if model.learner == BOOSTING else "weight")
    card = Card(
        pipeline, challenger.version, challenger.run_id, dataset.as_of, challenger.tested_from, challenger.train.num_rows,
        dataset.excluded, dataset.versions, challenger.content_hash, challenger.code, evidence, verdict, share,
        None if calibrated is None else evaluate.calibration_plot(*calibrated, before=raw), pictured,
        None if raw is None or calibrated is None else evaluate.calibration_error(calibrated[0], raw),
    )  # fmt: skip
    page = list(blocks(card))
    mlflow.log_text(as_markdown(card.title, page), "card.md")
    mlflow.log_text(as_html(card.title, page), "card.html")
    for block in page:
        if isinstance(block, Picture):
            mlflow.log_figure(block.figure, block.file)
    registry.describe_version(model.name, challenger.version, card.summary)


def _as_json(evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    """What the gate saw and said, as JSON has it: null for what is no number."""
    found = {"passed": verdict.passed, "checks": [asdict(check) for check in verdict.checks], **asdict(evidence)}
    return _numbers(found)


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _numbers(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
