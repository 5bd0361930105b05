"""Making parameters: what the pipeline file asks for, of all that was known before a cut-off, into Delta and on the topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.errors import SpecError, TrainingError
from headrace.features.categories import Vocabularies
from headrace.features.knowledge import features_as_known, known_from, releases
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.tables import read_accepted
from headrace.parameters import table
from headrace.parameters.compare import Difference, differences
from headrace.parameters.event import CLASS_WEIGHTS, MONOTONIC, STATISTICS, VOCABULARY, Parameters
from headrace.parameters.publish import publish_missing, record
from headrace.parameters.state import State
from headrace.parameters.statistics import statistics
from headrace.parameters.vocabulary import vocabulary
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import LABEL, LABEL_KNOWN_AT, build_dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""The cut-off of what is declared, and not made of any row."""


@dataclass(frozen=True)
class Made:
    """One of the parameters that were made."""

    parameters: Parameters
    is_new: bool
    """Whether it is a new version; else the newest one said the same, or all but the same."""
    differences: tuple[Difference, ...]
    """From the newest version before."""


def declared(pipeline: Pipeline) -> list[str]:
    """Names of what the pipeline file asks to be made."""
    said = pipeline.spec.parameters
    names = [f"{VOCABULARY}{name}" for name in said.vocabularies]
    names += [STATISTICS] if said.statistics else []
    names += [CLASS_WEIGHTS] if said.class_weights else []
    return names + ([MONOTONIC] if said.monotonic else [])


def sources(pipeline: Pipeline) -> list[str]:
    """The streams of whose rows they are made."""
    said, spec = pipeline.spec.parameters, pipeline.spec
    found = {one.stream for one in said.vocabularies.values()}
    if spec.features is not None and (said.statistics or said.class_weights):
        found |= {spec.features.requests, *spec.features.streams}
    if spec.label is not None and said.class_weights:
        found.add(spec.label.stream)
    return sorted(found)


def make(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker | None,
    as_of: datetime,
    only_material: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> list[Made]:
    """Make and publish everything that is declared, of what was known before ``as_of`` (UTC).

    ``only_material``: leave the newest version where the new one differs too little to matter (headrace.parameters.compare).
    Safe to interrupt and to repeat. Raises SpecError where nothing is declared, TrainingError where a table is absent, and as
    :func:`headrace.parameters.publish`.
    """
    if not declared(pipeline):
        raise SpecError(
            f"{pipeline.file} has no section 'parameters' that says what to make; docs/parameters.md shows one"
        )
    done = list[Made]()
    try:
        for made in _Making(spark, pipeline, as_of=as_of, only_material=only_material, notify=notify).run():
            done.append(made)
    finally:
        if done and broker is not None:
            publish_missing(spark, pipeline, broker=broker)
    return done


class _Making:
    """One round: every table is read at the version that it has when the round begins."""

    def __init__(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        *,
        as_of: datetime,
        only_material: bool,
        notify: Callable[[str], None],
    ) -> None:
        self._spark, self._pipeline, self._as_of = spark, pipeline, as_of
        self._only_material, self._notify = only_material, notify
        self._versions = {name: _version(spark, pipeline, name) for name in sources(pipeline)}

    def run(self) -> Iterable[Made]:
        said, words = self._pipeline.spec.parameters, dict[str, tuple[str, ...]]()
        for name, spec in said.vocabularies.items():
            self._notify(f"counting the values of {spec.column} in {spec.stream}")
            state = table.read_table(self._spark, self._pipeline)
            before = _newest(state, f"{VOCABULARY}{name}", as_of=self._as_of)
            value = vocabulary(self._known(spec.stream), spec=spec, before=before.value if before else None)
            yield (made := self._publish(f"{VOCABULARY}{name}", value, streams=[spec.stream]))
            words[name] = tuple(made.parameters.value["values"])
        if said.statistics:
            self._notify("computing statistics of the features")
            streams, value = self._statistics(words)
            yield self._publish(STATISTICS, value, streams=streams)
        if said.class_weights:
            self._notify("counting the outcomes")
            value, read = self._class_weights(words)
            yield self._publish(CLASS_WEIGHTS, value, streams=read)
        if said.monotonic:
            yield self._publish(MONOTONIC, {"features": dict(said.monotonic)}, streams=[], as_of=ALWAYS)

    def _known(self, stream: str) -> DataFrame:
        path = Layout(self._pipeline.spec.lake.root).events(stream)
        rows = read_accepted(self._spark, path, version=self._versions[stream])
        return rows.where((F.col("known_at") < F.lit(self._as_of)) & (known_from(rows) < F.lit(self._as_of)))

    def _statistics(self, words: Vocabularies) -> tuple[list[str], dict[str, Any]]:
        features = self._pipeline.spec.features
        assert features is not None
        streams = sorted({features.requests, *features.streams})
        known = {name: self._known(name) for name in streams}
        released = {moment for name in features.streams for moment in releases(known[name])}
        rows = features_as_known(
            known[features.requests], known, features=features, since=None, released=released, vocabularies=words
        )
        return streams, statistics(rows, features=features.names)

    def _class_weights(self, words: Vocabularies) -> tuple[dict[str, Any], Mapping[str, int]]:
        model = self._pipeline.spec.model
        assert model is not None
        dataset = build_dataset(self._spark, self._pipeline, as_of=self._as_of, vocabularies=words)
        rows = dataset.frame.select("at", LABEL, LABEL_KNOWN_AT).toArrow()
        at, told = (rows.column(name).to_numpy() for name in ("at", LABEL_KNOWN_AT))
        cut = np.sort(at)[int(len(at) * (1 - model.test_share))]
        label = rows.column(LABEL).to_numpy()[(at < cut) & (told < cut)]
        positive, negative = int((label == 1).sum()), int((label == 0).sum())
        if not positive or not negative:
            raise TrainingError(
                f"of the {len(label)} rows that would train as of {self._as_of:%Y-%m-%d %H:%M} UTC all have one outcome, so "
                "classes have no weights; choose a later --as-of"
            )
        value = {"positive": positive, "negative": negative, "scale_pos_weight": negative / positive}
        return value, dataset.versions

    def _publish(
        self,
        name: str,
        value: Mapping[str, Any],
        *,
        streams: Iterable[str] | Mapping[str, int],
        as_of: datetime | None = None,
    ) -> Made:
        state = table.read_table(self._spark, self._pipeline)
        known = state.versions(name)
        changes = tuple(differences(name, known[-1].value, value)) if known else ()
        if known and self._only_material and not any(change.material for change in changes):
            return Made(known[-1], False, changes)
        read = dict(streams) if isinstance(streams, Mapping) else {one: self._versions[one] for one in streams}
        new = record(
            self._spark, self._pipeline, name=name, value=value, as_of=as_of or self._as_of, sources=read
        )  # fmt: skip
        return Made(new, not known or new.version != known[-1].version, changes)


def _newest(state: State, name: str, *, as_of: datetime) -> Parameters | None:
    """The newest version that may be known at the cut-off: what comes later continues it."""
    fitting = [one for one in state.versions(name) if one.as_of <= as_of]
    return fitting[-1] if fitting else None


def _version(spark: SparkSession, pipeline: Pipeline, stream: str) -> int:
    path = Layout(pipeline.spec.lake.root).events(stream)
    if not delta.exists(spark, path):
        raise TrainingError(f"stream {stream!r} has no table yet; run: headrace ingest --until-caught-up")
    return delta.version(spark, path)
