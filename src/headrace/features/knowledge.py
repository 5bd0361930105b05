"""Who may see what when: a released row counts as known from its release on, in the time of the requests.

A request for T sees a row if the row was known by then. Mostly that is ``known_at <= T``. A row that was released from
quarantine after requests had been answered has a ``released_known_at``, later than all of them: what was answered stays as it
was, in training too. Where such a row lies in time (in which window, how old it is) is still told by its ``known_at``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.features.categories import NONE, Vocabularies
from headrace.features.compute import compute_features, first_of_each
from headrace.spec.features import Features

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RELEASED = "released_known_at"


def known_from(rows: DataFrame) -> Column:
    """From when on each accepted row counts as known (``timestamp``)."""
    return F.coalesce(RELEASED, "known_at") if RELEASED in rows.columns else F.col("known_at")


def releases(rows: DataFrame) -> list[datetime]:
    """The moments at which rows were released to requests that come later (UTC), in order. Only files with such rows are read."""
    if RELEASED not in rows.columns:
        return []
    found = rows.where(F.col(RELEASED).isNotNull()).select(RELEASED).distinct().collect()
    return sorted(row[0].astimezone(UTC) for row in found)


def features_as_known(
    requests: DataFrame,
    tables: Mapping[str, DataFrame],
    *,
    features: Features,
    since: datetime | None,
    released: Iterable[datetime],
    vocabularies: Vocabularies = NONE,
) -> DataFrame:
    """As :func:`headrace.features.compute.compute_features`, where each request sees what was released by its T.

    ``since``: no T is earlier (None: no release is earlier than the first T). ``released``: the moments of release after it, up
    to the last T. They cut time into pieces; within one, all requests see the same rows.
    """
    bounds = sorted(set(released))
    if bounds:
        requests = first_of_each(requests, features=features)
    pieces: list[DataFrame] = []
    for begin, end in zip([since, *bounds], [*bounds, None], strict=True):
        asked = requests
        if begin is not None and begin != since:
            asked = asked.where(F.col("known_at") >= F.lit(begin))
        if end is not None:
            asked = asked.where(F.col("known_at") < F.lit(end))
        seen = {name: _seen(rows, begin) for name, rows in tables.items()}
        pieces.append(compute_features(asked, seen, features=features, vocabularies=vocabularies))
    return reduce(lambda one, other: one.union(other), pieces)


def _seen(rows: DataFrame, begin: datetime | None) -> DataFrame:
    if RELEASED not in rows.columns:
        return rows
    before = F.lit(False) if begin is None else F.col(RELEASED) <= F.lit(begin)
    return rows.where(F.col(RELEASED).isNull() | before)
