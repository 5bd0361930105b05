"""Training as labels arrive: how large a step is, how many trees there may be, and how often a candidate goes to the gate."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from headrace.spec.section import Duration, Section


class Continuous(Section):
    """What ``headrace train --continuous`` does with labelled rows as they become known."""

    rounds_per_step: Annotated[int, Field(ge=1, le=1000)] = Field(default=5, description="trees that a step adds")
    max_trees: Annotated[int, Field(ge=1, le=5000)] = Field(
        default=500, description="a step that would lead beyond it adds no tree, and moves the values of the leaves"
    )
    min_rows: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=500, description="fewer labelled rows wait for more"
    )
    candidate_every: Duration = Field(
        default="6h",
        description="of the requests' own time: so often a Booster goes to the gate, and on so much it is tested",
    )
    correction_weight: Annotated[float, Field(gt=0, le=100)] = Field(
        default=2.0, description="weight of a row whose outcome changed after it was trained on"
    )

    @model_validator(mode="after")
    def _room_for_a_step(self) -> Self:
        if self.max_trees < self.rounds_per_step:
            raise ValueError(
                f"continuous.max_trees ({self.max_trees}) leaves no room for steps of {self.rounds_per_step} trees; raise it, or "
                "lower rounds_per_step"
            )
        return self
