"""The parameters that are made from accepted rows and published for training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.spec.section import Duration, Name, Section

Direction = Literal["increasing", "decreasing"]


class Vocabulary(Section):
    """The frequent values of a column; each gets an index, by which ``features.categories`` encodes it."""

    stream: Name
    column: str = Field(description="as the table holds it: a pseudonym, where the column is protected by one")
    minimum_count: Annotated[int, Field(ge=1)] = Field(default=20, description="a rarer value is not named")
    largest: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1000, description="so many values at most")


class SpecParameters(Section):
    """What ``headrace parameters`` makes and publishes on the topic ``<pipeline>.parameters``."""

    statistics: bool = Field(default=False, description="of every declared feature")
    vocabularies: dict[Name, Vocabulary] = Field(default={})
    class_weights: bool = Field(default=False, description="outcomes weigh as if both were equally frequent")
    monotonic: dict[str, Direction] = Field(
        default={}, description="feature: the direction in which the probability may go with it"
    )
    hyperparameters: bool = Field(
        default=False, description="train with those that a search published, over the declared ones"
    )
    every: Duration = Field(default="5m", description="at most so often a running job publishes")
