"""What an event may look like: the models behind ``conf/parameters.schema.json``, by which every record is judged."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from headrace.parameters.event import FORMAT, POINTER_FORMAT, VOCABULARY, Event, Parameters, Pointer

_Count = Annotated[int, Field(ge=0)]
_Number = int | float
_Position = Annotated[int, Field(ge=1)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Sketch(_Strict):
    """A histogram with buckets of equal ratio. ``positive`` and ``negative``: the first bucket's number, then the counts."""

    accuracy: float = Field(gt=0, lt=1, description="a quantile is off by at most this share of itself")
    zero: _Count
    positive: tuple[int, list[_Count]]
    negative: tuple[int, list[_Count]]


class FeatureStatistics(_Strict):
    """One feature over all requests. Moments and bounds are null where no value is finite."""

    count: _Count = Field(description="finite values")
    missing: _Count
    infinite: _Count
    missing_rate: float = Field(ge=0, le=1)
    mean: _Number | None
    standard_deviation: _Number | None
    skewness: _Number | None
    minimum: _Number | None
    maximum: _Number | None
    quantiles: dict[str, _Number] = Field(description="share of the values at or below: value")
    sketch: Sketch


class Statistics(_Strict):
    """Of the declared features, as each request saw them at its T."""

    rows: _Count
    features: dict[str, FeatureStatistics]


class Vocabulary(_Strict):
    """The values of a column, in the order of their indices (from 0), and how often each was seen."""

    stream: str
    column: str
    values: list[str]
    counts: list[_Count]
    minimum_count: _Position
    rare: _Count = Field(description="rows whose value has no index: seen too seldom, or beyond the largest size")
    missing: _Count


class ClassWeights(_Strict):
    """Of the rows that train a model as of the cut-off; those that test it are left out."""

    positive: _Position
    negative: _Position
    scale_pos_weight: float = Field(gt=0)


class Monotonic(_Strict):
    """In which direction the probability may go with a feature."""

    features: dict[str, Literal["increasing", "decreasing"]]


class Hyperparameters(BaseModel):
    """The best that a search found. It may say more, such as its score and the number of trials."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)
    parameters: dict[str, float | int | str | bool] = Field(description="of XGBoost; they go before the declared ones")
    rounds: Annotated[int, Field(ge=1, le=5000)] | None = None


class _Event(_Strict):
    format: Literal["headrace.parameters/1"]
    pipeline: str
    version: _Position
    sequence: _Position
    as_of: AwareDatetime = Field(strict=False, description="made only of rows that were known before it (UTC)")
    made_at: AwareDatetime = Field(strict=False)
    sources: dict[str, _Count] = Field(description="stream: version of its events table that was read")
    sha256: _Sha256 = Field(description="of pipeline, name, as_of, sources and value, as JSON with sorted keys")


class StatisticsEvent(_Event):
    name: Literal["statistics"]
    value: Statistics


class VocabularyEvent(_Event):
    name: str = Field(pattern=r"^vocabulary\.[a-z][a-z0-9_]{0,62}$")
    value: Vocabulary


class ClassWeightsEvent(_Event):
    name: Literal["class_weights"]
    value: ClassWeights


class MonotonicEvent(_Event):
    name: Literal["monotonic"]
    value: Monotonic


class HyperparametersEvent(_Event):
    name: Literal["hyperparameters"]
    value: Hyperparameters


class PointerEvent(_Strict):
    """The newest of a name says which version is current; its key is ``NAME/current``."""

    format: Literal["headrace.parameters.pointer/1"]
    pipeline: str
    name: str = Field(
        pattern=r"^(statistics|class_weights|monotonic|hyperparameters|vocabulary\.[a-z][a-z0-9_]{0,62})$"
    )
    version: _Position
    sequence: _Position
    at: AwareDatetime = Field(strict=False)
    pinned: bool
    why: str | None


_Kind = TypeVar("_Kind", bound=BaseModel)
_KINDS: dict[str, type[_Event]] = {
    "statistics": StatisticsEvent,
    "class_weights": ClassWeightsEvent,
    "monotonic": MonotonicEvent,
    "hyperparameters": HyperparametersEvent,
}
_ANY: Any = StatisticsEvent | VocabularyEvent | ClassWeightsEvent | MonotonicEvent | HyperparametersEvent | PointerEvent


def parameters_json_schema() -> str:
    """JSON Schema (2020-12) text of a record's value; ``conf/parameters.schema.json`` is this."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(_ANY).json_schema(),
        "title": "Headrace parameters",
    }
    return json.dumps(schema, indent=2) + "\n"


def parse(text: str) -> Event:
    """The event of a record's value. Raises ValueError that says what is wrong with it; the value itself is not quoted."""
    try:
        said = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise ValueError("it is no JSON") from None
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    if said.get("format") == POINTER_FORMAT:
        pointer = _judged(PointerEvent, text)
        return Pointer(
            pointer.pipeline, pointer.name, pointer.version, pointer.sequence, pointer.at, pointer.pinned, pointer.why
        )
    if said.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    name = said.get("name")
    kind = VocabularyEvent if isinstance(name, str) and name.startswith(VOCABULARY) else _KINDS.get(str(name))
    if kind is None:
        raise ValueError(f"no parameters have the name {str(name)[:60]!r}")
    event = _judged(kind, text)
    found = Parameters(
        event.pipeline, str(name), event.version, event.as_of, event.made_at, said["sources"], said["value"], event.sequence
    )  # fmt: skip
    if found.sha256 != event.sha256:
        raise ValueError("its content is not what its sha256 says")
    if isinstance(event, VocabularyEvent) and len(set(event.value.values)) != len(event.value.counts):
        raise ValueError("its values and counts don't belong together")
    return found


def _judged(kind: type[_Kind], text: str) -> _Kind:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _no_constant(name: str) -> float:
    raise ValueError(name)
