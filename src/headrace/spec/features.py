"""Features at a point in time, and the label that comes later.

Every feature of a request at time T (the request's own ``known_at``) sees only rows with ``known_at <= T``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.spec.section import Duration, Name, Section

Aggregate = Literal[
    "count", "sum", "mean", "min", "max", "std", "rate", "distinct", "since", "decayed_sum", "decayed_mean",
    "p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99",
]  # fmt: skip
WITHOUT_COLUMN: frozenset[Aggregate] = frozenset({"count", "rate", "since", "decayed_sum"})
"""Those that need no column: they are of the rows themselves."""
DECAYED: frozenset[Aggregate] = frozenset({"decayed_sum", "decayed_mean"})
NOT_A_NUMBER: frozenset[Aggregate] = frozenset({"count", "rate", "since", "distinct"})
"""Those whose column may be a text."""


class Last(Section):
    """The newest row of a stream, per key, that was known at T and is not older than ``within``."""

    stream: Name
    where: str | None = None
    by: tuple[str, ...] = Field(min_length=1, description="key columns, present in the requests too")
    within: Duration
    columns: dict[Name, str] = Field(min_length=1, description="feature: column of the stream")
    age: Name | None = Field(default=None, description="feature: minutes from that row's known_at to T")


class Window(Section):
    """Aggregates of the rows of a stream, per key, that became known in ``(T - over, T]``.

    Of the stream of the requests itself: in ``(T - over, T)``, so that a request never sees itself.
    """

    stream: Name
    where: str | None = None
    by: tuple[str, ...] = Field(min_length=1)
    over: tuple[Duration, ...] = Field(min_length=1)
    aggregates: dict[Name, tuple[Aggregate, str | None]] = Field(
        min_length=1, description="feature: [aggregate, column]; the window's length is appended, as in delay_mean_3h"
    )
    half_life: Duration | None = Field(
        default=None, description="of decayed_sum and decayed_mean: an older row weighs half"
    )


class Features(Section):
    """The columns that a model sees."""

    requests: Name = Field(description="the stream whose accepted rows ask for a prediction")
    id: str = Field(description="column that identifies a request; never a feature")
    columns: dict[Name, str] = Field(default={}, description="feature: SQL expression over the request's own columns")
    categories: dict[Name, Name] = Field(
        default={}, description="column of the requests: the vocabulary by whose indices it becomes a feature"
    )
    last: tuple[Last, ...] = ()
    windows: tuple[Window, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order in which a model sees them."""
        found = [*self.columns, *self.categories]
        for last in self.last:
            found += [*last.columns, *([last.age] if last.age else [])]
        for window in self.windows:
            found += [f"{name}_{over}" for over in window.over for name in window.aggregates]
        return tuple(found)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that features are computed from, besides the requests themselves."""
        return tuple(sorted({part.stream for part in (*self.last, *self.windows)}))


class Label(Section):
    """The outcome, from a later row of a stream about the same request."""

    stream: Name
    where: str | None = Field(default=None, description="which rows tell the outcome")
    by: str = Field(description="column equal to the request's id")
    positive: str | None = Field(
        default=None, description="SQL condition; null (as for a diverted flight) excludes the request"
    )
    value: str | None = Field(
        default=None,
        description="in place of positive: SQL expression, a number (regression, ranking) or a class (a text)",
    )
    group: str | None = Field(default=None, description="of a ranking: the column that names a row's group")
    excluded: dict[Name, str] = Field(default={}, description="reason: SQL condition on rows that exclude a request")


Percentage = Annotated[float, Field(gt=0, lt=100)]
