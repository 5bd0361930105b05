"""Statistics and vocabularies: right by an independent reader, and the same whatever the order and partitioning of the rows."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from headrace.errors import ParametersError
from headrace.features.categories import encoded, unseen
from headrace.parameters.schema import Statistics
from headrace.parameters.sketch import counts_of
from headrace.parameters.statistics import statistics
from headrace.parameters.vocabulary import vocabulary
from headrace.spec.features import Features
from headrace.spec.parameters import Vocabulary

DRAW = random.Random(5)
VALUES: dict[str, list[float | None]] = {
    "normal": [DRAW.gauss(10, 4) for _ in range(3000)],
    "year": [2013.0 + DRAW.randrange(-5, 5) for _ in range(3000)],
    "long_tail": [math.exp(DRAW.gauss(0, 3)) for _ in range(3000)],
    "signed": [DRAW.choice([-1, 1]) * DRAW.expovariate(0.01) for _ in range(3000)],
    "gaps": [None if n % 5 == 0 else math.nan if n % 5 == 1 else float(n % 7) for n in range(3000)],
    "one": [3.7] * 3000,
    "never": [None] * 3000,
    "far": [math.inf if n == 0 else -math.inf if n == 1 else 1e300 if n == 2 else 1.0 for n in range(3000)],
}


@pytest.fixture(scope="module")
def rows(spark: SparkSession):
    columns = list(VALUES)
    return spark.createDataFrame(
        list(zip(*VALUES.values(), strict=True)), ", ".join(f"{name} double" for name in columns)
    )


@pytest.fixture(scope="module")
def found(rows) -> dict[str, Any]:
    return statistics(rows, features=list(VALUES))


@pytest.mark.parametrize("name", ["normal", "year", "long_tail", "signed", "gaps"])
def test_moments_and_quantiles_are_those_of_numpy(found: dict[str, Any], name: str) -> None:
    told = found["features"][name]
    values = np.array([value for value in VALUES[name] if value is not None and not math.isnan(value)])
    assert found["rows"] == 3000
    assert told["count"] == len(values)
    assert told["missing_rate"] == 1 - len(values) / 3000
    assert (told["minimum"], told["maximum"]) == (values.min(), values.max())
    assert told["mean"] == pytest.approx(values.mean(), rel=1e-9)
    assert told["standard_deviation"] == pytest.approx(values.std(), rel=1e-6)
    skewness = ((values - values.mean()) ** 3).mean() / values.std() ** 3
    assert told["skewness"] == pytest.approx(skewness, rel=1e-4, abs=1e-4)
    for share, quantile in told["quantiles"].items():
        assert quantile == pytest.approx(np.quantile(values, float(share), method="lower"), rel=0.0101)
    assert sum(counts_of(told["sketch"]).values()) == len(values)
    assert list(counts_of(told["sketch"])) == sorted(counts_of(told["sketch"]))


def test_what_has_no_spread_no_value_or_no_end_is_said_so(found: dict[str, Any]) -> None:
    one, never, far = (found["features"][name] for name in ("one", "never", "far"))
    assert (one["mean"], one["standard_deviation"], one["skewness"], one["quantiles"]["0.5"]) == (3.7, 0.0, None, 3.7)
    assert (never["count"], never["missing"], never["mean"], never["quantiles"]) == (0, 3000, None, {})
    assert (far["infinite"], far["count"], far["maximum"]) == (2, 2998, 1e300)
    Statistics.model_validate_json(json.dumps(found))


def test_the_same_rows_give_the_same_statistics_in_any_order_and_partitioning(rows, found: dict[str, Any]) -> None:
    for parts, column in ((1, "normal"), (7, "signed")):
        assert statistics(rows.repartition(parts, column).sortWithinPartitions(column), features=list(VALUES)) == found


def test_no_rows_at_all(rows) -> None:
    empty = statistics(rows.where("false"), features=["normal"])
    assert empty["rows"] == 0
    assert empty["features"]["normal"]["missing_rate"] == 0.0


def words(spark: SparkSession, counts: dict[str | None, int]):
    return spark.createDataFrame([(word,) for word, count in counts.items() for _ in range(count)], "place string")


SPEC = Vocabulary(stream="asked", column="place", minimum_count=3, largest=4)


def test_a_value_keeps_its_index_and_a_rare_one_is_not_named(spark: SparkSession) -> None:
    first = vocabulary(words(spark, {"b": 5, "a": 5, "c": 9, "secret": 2, None: 4}), spec=SPEC, before=None)
    assert first["values"] == ["c", "a", "b"]
    assert (first["counts"], first["rare"], first["missing"]) == ([9, 5, 5], 2, 4)
    assert "secret" not in str(first)
    second = vocabulary(words(spark, {"d": 50, "e": 40, "a": 1, "c": 9}), spec=SPEC, before=first)
    assert second["values"] == ["c", "a", "b", "d"]  # e has no room
    assert (second["counts"], second["rare"]) == ([9, 1, 0, 50], 40)
    other = SPEC.model_copy(update={"column": "place", "stream": "moved"})
    assert vocabulary(words(spark, {"d": 50}), spec=other, before=first)["values"] == ["d"]
    assert vocabulary(words(spark, {}), spec=SPEC, before=None)["values"] == []


def test_a_category_is_its_index_and_what_has_none_is_null_and_counted(spark: SparkSession) -> None:
    features = Features(requests="asked", id="id", categories={"place": "places"})
    rows = spark.createDataFrame([("b",), ("a",), ("x",), (None,), ("b'\\",)], "place string")
    known = {"places": ("a", "b", "b'\\")}
    found = rows.select("place", encoded("place", features=features, vocabularies=known).alias("index")).collect()
    assert {row["place"]: row["index"] for row in found} == {"b": 1.0, "a": 0.0, "x": None, None: None, "b'\\": 2.0}
    (count,) = rows.agg(unseen(features=features, vocabularies=known)["place"]).first()
    assert count == 1
    (none,) = rows.agg(unseen(features=features, vocabularies={"places": ()})["place"]).first()
    assert none == 4
    with pytest.raises(ParametersError, match="no vocabulary 'places' for the feature 'place'"):
        encoded("place", features=features, vocabularies={})
