"""The published parameters of a step: the newest ones, but the vocabularies with which its Booster began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.parameters.event import VOCABULARY
from headrace.parameters.used import fetch, from_tag, vocabularies
from headrace.spec.pipeline import Pipeline
from headrace.training.chosen import Chosen, choose

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def choose_for_step(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker | None,
    as_of: datetime,
    began_with: str,
    notify: Callable[[str], None],
) -> Chosen:
    """As :func:`headrace.training.chosen.choose`; ``began_with``: the tag of the Booster that is gone on with, or an empty text.

    Its trees ask for indices of their own vocabularies, so these stay for as long as it grows.
    """
    chosen = choose(spark, pipeline, broker=broker, as_of=as_of, notify=notify)
    what = "the Booster of the step before"
    own = {name: one for name, one in from_tag(began_with, what=what).items() if name.startswith(VOCABULARY)}
    if not own:
        return chosen
    kept = fetch(spark, pipeline, own, broker=broker, what=what)
    for one in chosen.used:
        if one.name in own and one.version != own[one.name].version:
            notify(
                f"{one.key} is current; the trees are about version {own[one.name].version}, which stays until --anew"
            )
    others = [one for one in chosen.used if not one.name.startswith(VOCABULARY)]
    return replace(chosen, used=(*kept, *others), vocabularies=vocabularies(kept))
