"""The parameters that a training uses: those that the pipeline file asks for, none of them made of what was known too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.connections import Broker
from headrace.errors import ParametersError
from headrace.features.categories import Vocabularies
from headrace.parameters import read
from headrace.parameters.event import CLASS_WEIGHTS, HYPERPARAMETERS, MONOTONIC, VOCABULARY, Parameters
from headrace.parameters.state import State
from headrace.parameters.used import as_tag, fetch, from_tag, vocabularies
from headrace.spec.features import Features
from headrace.spec.model import PARAMETERS
from headrace.spec.pipeline import Pipeline
from headrace.training.evidence import Champion

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Chosen:
    """Versions of parameters, and what they say to XGBoost."""

    used: tuple[Parameters, ...] = ()
    vocabularies: Vocabularies = field(default_factory=dict[str, tuple[str, ...]])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """XGBoost's parameters that go over the declared ones."""
    rounds: int | None = None
    """Number of trees, where the search found one."""

    @property
    def tag(self) -> str:
        """What the run and the model's version say of them."""
        return as_tag(self.used)

    @property
    def versions(self) -> dict[str, int]:
        """Name to version."""
        return {f"parameters.{one.name}": one.version for one in self.used}


def wanted(pipeline: Pipeline, *, hyperparameters: bool = True) -> list[str]:
    """Names of the parameters that a training of this pipeline uses; without ``hyperparameters``, a search for these."""
    declared, features = pipeline.spec.parameters, pipeline.spec.features
    names = sorted({f"{VOCABULARY}{name}" for name in features.categories.values()}) if features else []
    names += [CLASS_WEIGHTS] if declared.class_weights else []
    names += [MONOTONIC] if declared.monotonic else []
    return names + ([HYPERPARAMETERS] if declared.hyperparameters and hyperparameters else [])


def choose(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker | None,
    as_of: datetime,
    hyperparameters: bool = True,
    notify: Callable[[str], None] = lambda line: None,
) -> Chosen:
    """Read the parameters for a training as of a time (UTC): the current ones, or older ones where those were made of what was
    known later. Reads nothing where the pipeline file asks for none.

    Raises ParametersError where one is not published yet, is pinned to a version from after ``as_of``, or says other than the
    file.
    """  # fmt: skip
    names = wanted(pipeline, hyperparameters=hyperparameters)
    if not names:
        return Chosen()
    state = read(spark, pipeline, broker=broker, notify=notify)
    used = [one for one in (_chosen(pipeline, state, name, as_of=as_of, notify=notify) for name in names) if one]
    settings: dict[str, Any] = {}
    rounds: int | None = None
    for one in sorted(used, key=lambda one: one.name != HYPERPARAMETERS):  # what is declared goes over what was found
        if one.name == HYPERPARAMETERS:
            settings |= _found(one)
            rounds = one.value.get("rounds")
        elif one.name == CLASS_WEIGHTS:
            settings["scale_pos_weight"] = one.value["scale_pos_weight"]
        elif one.name == MONOTONIC:
            settings["monotone_constraints"] = _constraints(pipeline, state, one)
    return Chosen(tuple(used), vocabularies(used), settings, rounds)


def as_seen_by(
    champion: Champion, rows: pa.Table, *, spark: SparkSession, pipeline: Pipeline, encoded_with: Vocabularies
) -> pa.Table:
    """Rows whose categories were encoded with some vocabularies, as a model sees them that was trained with others.

    Raises ParametersError where the model's own are gone.
    """
    features = pipeline.spec.features
    if features is None or not features.categories:
        return rows
    what = f"the champion, version {champion.version}"
    used = {name: one for name, one in from_tag(champion.parameters, what=what).items() if name.startswith(VOCABULARY)}
    own = vocabularies(fetch(spark, pipeline, used, broker=None, what=what))
    return encoded_anew(rows, features=features, encoded_with=encoded_with, own=own)


def encoded_anew(rows: pa.Table, *, features: Features, encoded_with: Vocabularies, own: Vocabularies) -> pa.Table:
    """Indices of one set of vocabularies as those of another; null where a value is in one of the two only."""
    import pyarrow as pa

    for column, name in features.categories.items():
        if name not in own or column not in rows.column_names or own[name] == encoded_with[name]:
            continue
        index_of = {word: index for index, word in enumerate(own[name])}
        translated = np.array([index_of.get(word, np.nan) for word in encoded_with[name]] or [np.nan])
        now = rows.column(column).to_numpy(zero_copy_only=False)
        known = ~np.isnan(now)
        then = np.full(len(now), np.nan)
        then[known] = translated[now[known].astype(int)]
        at = rows.column_names.index(column)
        rows = rows.set_column(at, column, pa.array(then, pa.float64(), from_pandas=True))
    return rows


def _chosen(
    pipeline: Pipeline, state: State, name: str, *, as_of: datetime, notify: Callable[[str], None]
) -> Parameters | None:
    found, pointer = state.known_by(name, as_of), state.pointers.get(name)
    if found is None and name == HYPERPARAMETERS and pointer is None:
        notify("no search has published hyperparameters yet; the declared ones are used")
        return None
    if found is None:
        until = f"{as_of:%Y-%m-%dT%H:%M:%S}"
        remedy = f"run headrace parameters {pipeline.folder} --as-of {until}"
        if pointer is None:
            raise ParametersError(f"nobody has published {name!r} yet, which this training needs; {remedy}")
        current = state.version(name, pointer.version)
        pinned = "unpin it, or train later" if pointer.pinned else remedy
        raise ParametersError(
            f"{current.key} was made of what was known before {current.as_of:%Y-%m-%d %H:%M:%S} UTC, which is after the cut-off of "
            f"this training; {pinned}"
        )
    if pointer is not None and found.version != pointer.version:
        notify(f"{name}/{pointer.version} is current, and from after this training's cut-off: {found.key} is used")
    return found


def _found(one: Parameters) -> dict[str, Any]:
    unknown = sorted(set(one.value["parameters"]) - PARAMETERS)
    if unknown:
        raise ParametersError(
            f"{one.key} sets {unknown[0]!r}, which is no parameter of XGBoost that shapes trees; pin another version"
        )
    return dict(one.value["parameters"])


def _constraints(pipeline: Pipeline, state: State, one: Parameters) -> str:
    assert pipeline.spec.features is not None
    names, said = pipeline.spec.features.names, one.value["features"]
    pointer = state.pointers.get(MONOTONIC)
    if said != pipeline.spec.parameters.monotonic and not (pointer and pointer.pinned):
        raise ParametersError(
            f"{one.key} is not what {pipeline.file} declares under parameters.monotonic; run headrace parameters {pipeline.folder}"
        )
    unknown = sorted(set(said) - set(names))
    if unknown:
        raise ParametersError(f"{one.key} speaks of {unknown[0]!r}, which is no feature; pin another version, or none")
    ways = {"increasing": 1, "decreasing": -1}
    return f"({','.join(str(ways.get(said.get(name, ''), 0)) for name in names)})"
