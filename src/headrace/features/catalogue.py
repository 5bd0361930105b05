"""What features there are: where each comes from, what it may see, and what its values look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.spec.features import Features, Last, Window

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

_QUANTILES = (0.05, 0.5, 0.95)
_ACCURACY = 10_000


@dataclass(frozen=True)
class Entry:
    """One feature."""

    name: str
    stream: str
    what: str
    """How it is computed, in words."""
    sees: str
    """The rows that it sees of a request at T."""


@dataclass(frozen=True)
class Figures:
    """What the values of a feature look like; None where it has none."""

    rows: int
    missing: int
    mean: float | None
    least: float | None
    p05: float | None
    p50: float | None
    p95: float | None
    most: float | None


def catalogue(features: Features) -> list[Entry]:
    """All features in the order in which a model sees them."""
    entries = [Entry(name, features.requests, sql, "the request itself") for name, sql in features.columns.items()]
    for name, vocabulary in features.categories.items():
        entries.append(Entry(name, features.requests, f"index in the vocabulary {vocabulary}", "the request itself"))
    for last in features.last:
        entries += _of_last(last, features)
    for window in features.windows:
        entries += _of_window(window, features)
    return entries


def figures(rows: DataFrame, names: tuple[str, ...]) -> dict[str, Figures]:
    """By name, from one pass over a feature table. Quantiles are right to a rank of one in 10,000."""
    columns = [F.count(F.lit(1)).alias("rows")]
    for at, name in enumerate(names):
        value = F.col(name)
        columns += [
            F.count(value).alias(f"count_{at}"), F.avg(value).alias(f"mean_{at}"), F.min(value).alias(f"least_{at}"),
            F.max(value).alias(f"most_{at}"), F.percentile_approx(value, list(_QUANTILES), _ACCURACY).alias(f"quantiles_{at}"),
        ]  # fmt: skip
    found = rows.agg(*columns).first()
    assert found is not None  # an aggregate without groups has one row
    return {name: _figures(found, at) for at, name in enumerate(names)}


def _figures(found: Row, at: int) -> Figures:
    p05, p50, p95 = found[f"quantiles_{at}"] or (None, None, None)
    missing = found["rows"] - found[f"count_{at}"]
    return Figures(
        found["rows"], missing, found[f"mean_{at}"], found[f"least_{at}"], p05, p50, p95, found[f"most_{at}"]
    )  # fmt: skip


def _of_last(last: Last, features: Features) -> Iterator[Entry]:
    sees = f"{_rows(last, features)} known in [T - {last.within}, {_end(last, features)}"
    for name, column in last.columns.items():
        yield Entry(name, last.stream, f"{column} of the newest row", sees)
    if last.age:
        yield Entry(last.age, last.stream, "minutes since the newest row", sees)


def _of_window(window: Window, features: Features) -> Iterator[Entry]:
    for over in window.over:
        sees = f"{_rows(window, features)} known in (T - {over}, {_end(window, features)}"
        for name, (aggregate, column) in window.aggregates.items():
            half = f", half-life {window.half_life}" if aggregate.startswith("decayed") else ""
            yield Entry(f"{name}_{over}", window.stream, f"{aggregate} of {column or 'rows'}{half}", sees)


def _rows(part: Last | Window, features: Features) -> str:
    where = f" where {part.where}" if part.where else ""
    own = "earlier rows" if part.stream == features.requests else "rows"
    return f"{own} of the same {' and '.join(part.by)}{where},"


def _end(part: Last | Window, features: Features) -> str:
    return "T)" if part.stream == features.requests else "T]"
