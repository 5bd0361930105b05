"""All that a pipeline holds of a person, and what can't be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.connections import Broker, Tracking
from headrace.erasure import marks
from headrace.erasure.answers import Answers, find_answers
from headrace.erasure.find import Found, find
from headrace.erasure.topics import kept_in, left_in_predictions, left_in_topics
from headrace.lake import delta
from headrace.lake.layout import EVENTS, Layout
from headrace.privacy.keys import KeyRing
from headrace.privacy.person import Person
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Held:
    """All that a pipeline holds of a person."""

    found: Found
    answers: Answers
    models: tuple[str, ...]
    """``NAME/VERSION`` of the models that were trained on them."""
    left: tuple[str, ...]
    """What can't be reached in the lake, in sentences."""

    @property
    def anything(self) -> bool:
        return self.found.anything or self.answers.anything


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where a person is looked for."""

    spark: SparkSession
    pipeline: Pipeline
    ring: KeyRing
    broker: Broker
    tracking: Callable[[], Tracking]
    linked: bool = True
    """Whether identifiers in the rows that are found lead to further rows."""

    @property
    def layout(self) -> Layout:
        return Layout(self.pipeline.spec.lake.root)

    def look(self, person: Person) -> Held:
        """What is there. Changes nothing. Raises ModelError where MLflow does not answer."""
        found = find(self.spark, self.pipeline, person, ring=self.ring, linked=self.linked)
        answers = find_answers(self.spark, self.pipeline, found.ids, ring=self.ring)
        models = marks.models_of(self.tracking(), answers.snapshots) if answers.snapshots else []
        return Held(found, answers, tuple(models), tuple(self._left(found, answers)))

    def _left(self, found: Found, answers: Answers) -> Iterator[str]:
        yield from left_in_topics(found, self.broker)
        scoring = self.pipeline.spec.scoring
        if answers.predictions and scoring is not None:
            yield left_in_predictions(scoring.topic, kept_in(self.broker, scoring.topic))
        for name, rows in found.untold.items():
            yield f"{name}: of {rows} rows nobody can tell whom they are about (a retired key, or they do not open)"
        for name, stream in self.pipeline.spec.streams.items():
            if not stream.subject and delta.exists(self.spark, self.layout.events(name)):
                yield f"{EVENTS}{name} was not searched: its stream declares no subject"
