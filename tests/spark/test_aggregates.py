"""Every aggregate of a window against numpy, over the rows that a slow reader finds for each request."""

# ruff: noqa: E501

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import numpy as np
import pytest
from pyspark.sql import SparkSession
from test_features import HOUR, MICRO, START, Rows, asked, event, request, seen

from headrace.features.compute import compute_features
from headrace.spec.features import Aggregate, Features

HALF_LIFE = timedelta(minutes=40)
WITH_COLUMN = [
    name for name in get_args(Aggregate) if name not in ("count", "rate", "since", "decayed_sum", "distinct")
]
FEATURES = Features.model_validate(
    {
        "requests": "asked",
        "id": "flight",
        "windows": [
            {"stream": "seen", "by": ["tail"], "over": ["1h", "3h"], "half_life": "40m",
             "aggregates": {name: [name, "delay"] for name in WITH_COLUMN}
             | {"rows_decayed": ["decayed_sum", None], "kinds": ["distinct", "kind"], "rows": ["count", None], "told": ["count", "kind"],
                "rate": ["rate", None], "since": ["since", None], "since_delay": ["since", "delay"], "decayed_sum": ["decayed_sum", "delay"]}},
        ],
    }
)  # fmt: skip
OWN = Features.model_validate(
    {
        "requests": "asked",
        "id": "flight",
        "last": [{"stream": "asked", "by": ["port"], "within": "3h", "columns": {"size_before": "size"}, "age": "age"}],
        "windows": [{"stream": "asked", "by": ["port"], "over": ["2h"], "aggregates": {"before": ["count", None], "sizes": ["sum", "size"]}}],
    }
)  # fmt: skip


def right(rows: Rows, now: Any, hours: int) -> dict[str, float | None]:
    """What each feature of ``FEATURES`` must be, from the rows in the window."""
    delays = [row["delay"] for row in rows if row["delay"] is not None]

    def weight(row: dict[str, Any]) -> float:
        return 2.0 ** (-((now - row["known_at"]) / HALF_LIFE))

    def of(values: list[float], function: Callable[[Any], Any], least: int = 1) -> float | None:
        return float(function(values)) if len(values) >= least else None

    told = [row for row in rows if row["delay"] is not None]
    weighted = [weight(row) * row["delay"] for row in told]
    newest = max((row["known_at"] for row in rows), default=None)
    newest_told = max((row["known_at"] for row in told), default=None)
    quantiles = {
        name: of(delays, lambda v, q=name: np.quantile(v, int(q[1:]) / 100)) for name in WITH_COLUMN if name[0] == "p"
    }
    return quantiles | {
        "sum": of(delays, math.fsum),
        "mean": of(delays, np.mean),
        "min": of(delays, min),
        "max": of(delays, max),
        "std": of(delays, lambda v: np.std(v, ddof=1), least=2),
        "decayed_sum": of(weighted, math.fsum),
        "decayed_mean": math.fsum(weighted) / math.fsum(map(weight, told)) if told else None,
        "rows_decayed": of([weight(row) for row in rows], math.fsum),
        "kinds": float(len({row["kind"] for row in rows if row["kind"] is not None})),
        "rows": float(len(rows)),
        "told": float(len([row for row in rows if row["kind"] is not None])),
        "rate": len(rows) / hours,
        "since": (now - newest) / timedelta(minutes=1) if newest else None,
        "since_delay": (now - newest_told) / timedelta(minutes=1) if newest_told else None,
    }  # fmt: skip


def chance_rows(seed: int) -> tuple[Rows, Rows]:
    chance = random.Random(seed)

    def at() -> Any:
        return START + chance.randrange(24) * HOUR / 4 + chance.choice([-1, 0, 0, 1]) * MICRO

    requests = [
        request(f"F{i}", at(), tail=chance.choice(["T1", "T2", None]), port=chance.choice(["EWR", "JFK"]), size=i, offset=i)
        for i in range(40)
    ]  # fmt: skip
    kinds, delays = ["left", "landed", None], [None, -5.0, 0.1, 0.2, 30.0, 1e6 / 7]
    events = [
        event(at(), chance.choice(delays), kind=chance.choice(kinds), tail=chance.choice(["T1", "T2", None]))
        for _ in range(120)
    ]
    return requests, events


@pytest.mark.parametrize("seed", range(2))
def test_every_aggregate_is_what_numpy_says(spark: SparkSession, seed: int) -> None:
    requests, events = chance_rows(seed)
    got = {
        row["id"]: row
        for row in compute_features(asked(spark, requests), {"seen": seen(spark, events)}, features=FEATURES).collect()
    }
    assert len(got) == len(requests)
    for one in requests:
        for hours in (1, 3):
            now = one["known_at"]
            rows = [
                e
                for e in events
                if one["tail"] and e["tail"] == one["tail"] and now - hours * HOUR < e["known_at"] <= now
            ]
            for name, expected in right(rows, now, hours).items():
                value = got[one["flight"]][f"{name}_{hours}h"]
                same = (
                    value == expected
                    if None in (value, expected)
                    else math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-8)
                )
                assert same, (one["flight"], name, hours, value, expected)


def test_a_request_never_sees_itself_nor_what_came_at_the_same_instant(spark: SparkSession) -> None:
    requests, _ = chance_rows(3)
    table = asked(spark, requests)
    got = {row["id"]: row for row in compute_features(table, {"asked": table}, features=OWN).collect()}
    for one in requests:
        before = [r for r in requests if r["port"] == one["port"] and r["known_at"] < one["known_at"]]
        within = [r for r in before if r["known_at"] > one["known_at"] - 2 * HOUR]
        row = got[one["flight"]]
        assert (row["before_2h"], row["sizes_2h"]) == (
            len(within),
            float(sum(r["size"] for r in within)) if within else None,
        )
        newest = max((r["known_at"] for r in before), default=None)
        fresh = newest is not None and newest >= one["known_at"] - 3 * HOUR
        assert row["age"] == ((one["known_at"] - newest) / timedelta(minutes=1) if fresh and newest else None)
        assert row["size_before"] in (
            {float(r["size"]) for r in before if r["known_at"] == newest} if fresh else {None}
        )
