"""A deployed model sees categories through the vocabularies that it was trained with, whatever was published since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.errors import ModelError
from headrace.features.categories import NONE, Vocabularies
from headrace.parameters.event import VOCABULARY
from headrace.parameters.used import fetch, from_tag, vocabularies
from headrace.spec.features import Features
from headrace.spec.pipeline import Pipeline
from headrace.training.registry import RegisteredModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def model_vocabularies(
    spark: SparkSession, pipeline: Pipeline, features: Features, model: RegisteredModel, *, broker: Broker
) -> Vocabularies:
    """The vocabularies that the model's tags name, from the topic, or else from the copy in Delta.

    Raises ModelError where the pipeline file declares others, ParametersError where one is gone or was changed.
    """
    if not features.categories:
        return NONE
    what = f"model {model.name} version {model.version}"
    used = {name: one for name, one in from_tag(model.parameters, what=what).items() if name.startswith(VOCABULARY)}
    lacking = sorted(name for name in set(features.categories.values()) if f"{VOCABULARY}{name}" not in used)
    if lacking:
        raise ModelError(
            f"{what} was not trained with the vocabulary {lacking[0]!r} that the pipeline file declares; train anew, or score with "
            "the file that trained it"
        )
    return vocabularies(fetch(spark, pipeline, used, broker=broker, what=what))
