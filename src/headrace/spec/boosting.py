"""What boosting may do besides fitting trees: calibrate, train by Spark's workers, and use a graphics card."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.spec.section import Section

Method = Literal["sigmoid", "isotonic"]
"""How a calibration maps scores to probabilities."""
Device = Literal["cpu", "cuda"]
"""Where trees are grown."""


class Distributed(Section):
    """When Spark's workers train in the driver's place."""

    above_rows: Annotated[int, Field(ge=1)] = Field(description="labelled rows; so many and fewer train on the driver")
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="how many, one for each slot of Spark at most; without a number, one for each"
    )
