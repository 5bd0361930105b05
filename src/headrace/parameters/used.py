"""Which parameters a model was trained with, as a tag of its run and version, and getting exactly these again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.errors import BrokerError, ParametersError
from headrace.features.categories import Vocabularies
from headrace.parameters import table
from headrace.parameters.event import VOCABULARY, Parameters
from headrace.parameters.state import State
from headrace.parameters.topic import read_topic
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Used:
    """A version that a model was trained with, and the hash of its content."""

    version: int
    sha256: str


def as_tag(parameters: Iterable[Parameters]) -> str:
    """JSON: name to version and SHA-256."""
    return json.dumps({one.name: {"version": one.version, "sha256": one.sha256} for one in parameters}, sort_keys=True)


def from_tag(text: str, *, what: str) -> dict[str, Used]:
    """The reverse. ``what`` names the model in the ParametersError that a changed tag raises."""
    try:
        said = json.loads(text or "{}")
        return {str(name): Used(int(one["version"]), str(one["sha256"])) for name, one in said.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ParametersError(
            f"{what}: its tag of parameters was changed; move the alias to a version that you trust, or train anew"
        ) from None


def fetch(
    spark: SparkSession, pipeline: Pipeline, used: Mapping[str, Used], *, broker: Broker | None, what: str
) -> list[Parameters]:
    """Exactly these versions, from the topic, or else from the copy in Delta.

    Raises ParametersError where one is in neither, or is not what the model was trained with.
    """
    if not used:
        return []
    state = State({}, {})
    if broker is not None:
        with suppress(BrokerError):
            state = read_topic(pipeline, broker=broker) or state
    if any((name, one.version) not in state.parameters for name, one in used.items()):
        state = table.read_table(spark, pipeline)
    return [_same(state, name, one, what) for name, one in used.items()]


def vocabularies(parameters: Iterable[Parameters]) -> Vocabularies:
    """The vocabularies among them, by their own names."""
    return {
        one.name.removeprefix(VOCABULARY): tuple(one.value["values"])
        for one in parameters
        if one.name.startswith(VOCABULARY)
    }


def _same(state: State, name: str, used: Used, what: str) -> Parameters:
    found = state.parameters.get((name, used.version))
    if found is None:
        raise ParametersError(
            f"{what} was trained with {name}/{used.version}, which is neither on the topic nor in the lake; bring the lake's table "
            "of parameters back, or train anew"
        )
    if found.sha256 != used.sha256:
        raise ParametersError(
            f"{what} was trained with another {name}/{used.version} than there is; bring the lake's table of parameters back, or "
            "train anew"
        )
    return found
