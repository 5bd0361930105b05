"""Tidying and looking up: what a value becomes, and that no row is lost or doubled."""

# ruff: noqa: E501

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.errors import SpecError
from headrace.spec.sql import checked
from headrace.spec.stream import Reference, Stream
from headrace.stages.enrich import enrich, load_reference
from headrace.stages.normalize import UNITS, normalize


def stream(**parts: Any) -> Stream:
    return Stream.model_validate({"topic": "t", "schema": "s", "event_time": "at", "known_at": "at", **parts})


def tidied(frame: DataFrame, **rules: Any) -> list[Any]:
    found = normalize(frame, stream=stream(normalize=rules), schema=frame.schema)
    return [tuple(row) for row in found.collect()]


def texts(spark: SparkSession, *values: str | None) -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], "v string")


def test_white_space_goes_from_both_ends_and_what_is_empty_then_is_null(spark: SparkSession) -> None:
    frame = texts(spark, " a b ", "\t\na\u00a0\u3000", "", " \t\r\n", None, "é")
    assert tidied(frame) == [("a b",), ("a",), (None,), (None,), (None,), ("é",)]
    assert tidied(frame, trim=False) == [(" a b ",), ("\t\na\u00a0\u3000",), (None,), (" \t\r\n",), (None,), ("é",)]
    assert tidied(frame, empty_as_null=False)[2:4] == [("",), ("",)]


def test_case_is_that_of_unicode(spark: SparkSession) -> None:
    frame = texts(spark, " aé ", "Straße", None)
    assert tidied(frame, case={"v": "upper"}) == [("AÉ",), ("STRASSE",), (None,)]
    assert tidied(frame, case={"v": "lower"}) == [("aé",), ("straße",), (None,)]


KNOWN_UNITS = {
    "fahrenheit_to_celsius": [(32, 0), (212, 100), (-40, -40)],
    "mph_to_ms": [(0, 0), (100, 44.704)],
    "miles_to_km": [(1, 1.609344), (26.21875, 42.194988)],
    "feet_to_m": [(1, 0.3048), (29029, 8848.0392)],
    "inches_to_mm": [(1, 25.4), (0.01, 0.254)],
}


def test_every_unit_is_checked_here() -> None:
    assert KNOWN_UNITS.keys() == UNITS.keys()


@pytest.mark.parametrize("unit", KNOWN_UNITS)
def test_units_convert_known_points(spark: SparkSession, unit: str) -> None:
    before, after = zip(*KNOWN_UNITS[unit], strict=True)
    frame = spark.createDataFrame([(float(value),) for value in before] + [(None,)], "v double")
    got = tidied(frame, units={"v": unit})
    assert got[-1] == (None,)
    assert all(math.isclose(value, right, abs_tol=1e-12) for (value,), right in zip(got, after, strict=False))


def test_renaming_comes_before_deriving_and_columns_keep_their_place(spark: SparkSession) -> None:
    frame = spark.sql("select ' x ' as a, 2 as b")
    found = normalize(
        frame,
        stream=stream(normalize={"rename": {"a": "c"}, "derive": {"d": "concat(c, 'y')", "e": "b * 2"}}),
        schema=frame.schema,
    )
    assert found.columns == ["c", "b", "d", "e"]
    assert tuple(found.collect()[0]) == ("x", 2, "xy", 4)


def test_two_columns_may_swap_their_names(spark: SparkSession) -> None:
    frame = spark.sql("select 'x' as a, 'y' as b")
    found = normalize(frame, stream=stream(normalize={"rename": {"a": "b", "b": "a"}}), schema=frame.schema)
    assert found.collect()[0].asDict() == {"b": "x", "a": "y"}


PLANES = "tailnum,year,seats,weight\nN1,1999,55,1.5\nN2,NA,,x\nN3,two,9999999999,2\n,2000,1,1\n"


@pytest.fixture
def planes(spark: SparkSession, tmp_path: Path) -> DataFrame:
    (tmp_path / "planes.csv").write_text(PLANES, encoding="utf-8")
    return load_reference(spark, reference(), folder=tmp_path)


def reference(**changes: Any) -> Reference:
    columns = {"tailnum": "string", "year": "int", "seats": "int", "weight": "double"}
    return Reference.model_validate({"file": "planes.csv", "key": "tailnum", "columns": columns, **changes})


def test_a_reference_has_its_types_and_what_does_not_fit_is_null(planes: DataFrame) -> None:
    assert [kind for _, kind in planes.dtypes] == ["string", "string", "int", "int", "double"]
    assert sorted(tuple(row)[1:] for row in planes.collect()) == [
        ("N1", 1999, 55, 1.5), ("N2", None, None, None), ("N3", None, None, 2.0),
    ]  # fmt: skip


def test_enrich_keeps_every_row_once_whatever_its_key(spark: SparkSession, planes: DataFrame) -> None:
    events = spark.createDataFrame([(0, "N1"), (1, "N1"), (2, "nobody"), (3, None), (4, "")], "n int, tail string")
    lookups = [{"reference": "planes", "on": "tail", "columns": {"made": "year", "size": "seats"}}]
    found = enrich(events, stream=stream(enrich=lookups), references={"planes": planes}).orderBy("n")
    assert found.columns == ["n", "tail", "made", "size"]
    assert [tuple(row) for row in found.collect()] == [
        (0, "N1", 1999, 55), (1, "N1", 1999, 55), (2, "nobody", None, None), (3, None, None, None), (4, "", None, None),
    ]  # fmt: skip


def test_one_reference_may_be_looked_up_twice(spark: SparkSession, planes: DataFrame) -> None:
    events = spark.createDataFrame([("N1", "N3")], "a string, b string")
    lookups = [{"reference": "planes", "on": on, "columns": {f"weight_{on}": "weight"}} for on in ("a", "b")]
    (row,) = enrich(events, stream=stream(enrich=lookups), references={"planes": planes}).collect()
    assert tuple(row) == ("N1", "N3", 1.5, 2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "tailnum,year,seats,weight\nN1,1,1,1\nN1,2,2,2\n",
            "planes.csv: key 'tailnum' occurs more than once (1 times); it must be unique",
        ),
        ("tailnum,year\nN1,1\n", "correct the reference's columns"),
        ("", "correct the reference's columns"),
    ],
)
def test_a_reference_that_would_multiply_rows_or_lacks_columns_is_refused(
    spark: SparkSession, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "planes.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_reference(spark, reference(), folder=tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


EXPRESSIONS = [
    "a + 1", "a / 4", "a % 4", "mod(a, 4)", "pmod(-a, 4)", "-(-a)", "a - (b - 1)", "not a > b", "a between 1 and 2 or b > 3", "a <=> null",
    "s = 'it\\'s'", "s like 'i%'", "s like '10\\%'", "s rlike '^i\\\\w+'", "s rlike '\\d'", "'\\u0041\\n\\t\\\\\\0\\x\\101'", "'\\%\\_'", "\"it's\"",
    "s is not null", "s not in ('a', 'b')", "case when a > 1 then 'x' else s end", "case a when 7 then 1 end", "if(a > b, a, b)", "coalesce(null, s)",
    "concat(s, 'x')", "substring(s, 2, 2)", "trim(s)", "upper(s)", "length(s)", "nullif(s, '')", "round(c, 1)", "ceil(c)", "floor(c)", "abs(-c)",
    "exp(c)", "ln(c)", "log1p(c)", "sqrt(c)", "pow(c, 2)", "sin(c)", "cos(c)", "greatest(a, b)", "least(a, b)", "isnull(s)", "isnan(c)",
    "year(t)", "quarter(t)", "month(t)", "weekofyear(t)", "dayofweek(t)", "dayofmonth(t)", "dayofyear(t)", "hour(t)", "minute(t)", "second(t)",
    "unix_timestamp(t)", "date_format(t, 'yyyy-MM-dd HH:mm:ss EEE')", "to_date('2013-02-03')", "to_date('03.02.2013', 'dd.MM.yyyy')",
    "datediff(to_date('2013-02-03'), to_date('2013-01-01'))", "hour(from_utc_timestamp(t, 'America/New_York'))",
    "from_utc_timestamp(t, 'Asia/Kolkata')", "cast(a as string)", "cast(c as int)", "cast('1.50' as decimal(10,2))", "timestamp '2013-01-01 00:00:00'",
    "1e3", "1L", "1.5D", "2BD", "true and null", "a * b - c / 3",
]  # fmt: skip


def test_what_is_written_back_means_the_same_to_spark(spark: SparkSession) -> None:
    frame = spark.sql("select 7 as a, 3 as b, 2.25D as c, \"it's\" as s, timestamp '2013-07-04 13:14:15.5' as t")
    row = frame.select(
        *(F.expr(text).cast("string").alias(f"o{i}") for i, text in enumerate(EXPRESSIONS)),
        *(F.expr(checked(text)).cast("string").alias(f"w{i}") for i, text in enumerate(EXPRESSIONS)),
    ).collect()[0]
    assert [text for i, text in enumerate(EXPRESSIONS) if row[f"o{i}"] != row[f"w{i}"]] == []
