"""Labels, counts, validation results and Data Docs of a compiled suite."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from headrace.errors import SpecError
from headrace.quality import (
    ROW_LEVEL,
    CompiledSuite,
    check_suite,
    compile_suite,
    count_aggregates,
    failed_critical,
    failed_rules,
    read_suite,
    validation_result,
    write_data_docs,
)
from headrace.quality.label import label
from headrace.quality.long_texts import longest_text

SCHEMA = "key long, n long, m int, x double, price decimal(10,2), s string, t string, day date, at timestamp"
NAN, INF = float("nan"), float("inf")


def at(hour: int) -> datetime:
    return datetime(2024, 1, 1, hour, tzinfo=UTC)


ROWS: list[tuple[Any, ...]] = [
    (0, 5, 5, 1.5, Decimal("0.10"), "abc", "abc", date(2024, 1, 1), at(1)),
    (1, None, 2, NAN, Decimal("-1.00"), "", "x%", date(2024, 2, 29), at(2)),
    (2, -3, 7, -INF, None, None, "été", None, at(3)),
    (3, 2**53, None, None, Decimal("5.00"), '{"a": 1}', None, date(1999, 12, 31), None),
    (4, None, None, 0.0, Decimal("5.01"), None, None, None, None),
    (5, 10, -3, 100.0, Decimal("2.00"), "2024-02-30", "été", date(2024, 1, 2), at(0)),
]

# type, kwargs, keys of the rows that fail it: written by hand
CASES: list[tuple[str, dict[str, Any], list[int]]] = [
    ("column_values_to_not_be_null", {"column": "n"}, [1, 4]),
    ("column_values_to_be_null", {"column": "n"}, [0, 2, 3, 5]),
    ("column_values_to_be_between", {"column": "x", "min_value": 0, "max_value": 50}, [1, 2, 5]),
    ("column_values_to_be_between", {"column": "price", "max_value": 5, "strict_max": True}, [3, 4]),
    ("column_values_to_be_between", {"column": "day", "min_value": "2024-01-01", "max_value": "2024-01-31"}, [1, 3]),
    ("column_values_to_be_between", {"column": "at", "max_value": "2024-01-01T03:00:00+01:00"}, [2]),
    ("column_values_to_be_in_set", {"column": "s", "value_set": ["abc", ""]}, [3, 5]),
    ("column_values_to_not_be_in_set", {"column": "m", "value_set": [5, -3]}, [0, 5]),
    ("column_value_lengths_to_be_between", {"column": "t", "min_value": 3}, [1]),
    ("column_value_lengths_to_equal", {"column": "s", "value": 3}, [1, 3, 5]),
    ("column_values_to_match_regex", {"column": "s", "regex": r"^\w+$"}, [1, 3, 5]),
    ("column_values_to_match_regex", {"column": "t", "regex": r"^\p{L}+$"}, [1]),
    ("column_values_to_not_match_regex", {"column": "s", "regex": "a"}, [0, 3]),
    ("column_values_to_match_regex_list", {"column": "s", "regex_list": ["a", r"\d"], "match_on": "all"}, [0, 1, 5]),
    ("column_values_to_not_match_regex_list", {"column": "s", "regex_list": ["^$", "b"]}, [0, 1]),
    ("column_values_to_match_like_pattern", {"column": "t", "like_pattern": "_\\%"}, [0, 2, 5]),
    ("column_values_to_not_match_like_pattern", {"column": "t", "like_pattern": "x!%", "escape": "!"}, [1]),
    ("column_values_to_match_like_pattern_list", {"column": "s", "like_pattern_list": ["a%", "%c"]}, [1, 3, 5]),
    (
        "column_values_to_match_like_pattern_list",
        {"column": "s", "like_pattern_list": ["2%", "%-30"], "match_on": "all"},
        [0, 1, 3],
    ),
    ("column_values_to_not_match_like_pattern_list", {"column": "s", "like_pattern_list": ["a%", "2%"]}, [0, 5]),
    ("column_values_to_match_strftime_format", {"column": "s", "strftime_format": "%Y-%m-%d"}, [0, 1, 3, 5]),
    ("column_values_to_be_json_parseable", {"column": "s"}, [0, 1, 5]),
    ("column_pair_values_to_be_equal", {"column_A": "s", "column_B": "t"}, [1, 2, 3, 5]),
    (
        "column_pair_values_to_be_equal",
        {"column_A": "n", "column_B": "m", "ignore_row_if": "either_value_is_missing"},
        [2, 5],
    ),
    (
        "column_pair_values_a_to_be_greater_than_b",
        {"column_A": "n", "column_B": "m", "ignore_row_if": "either_value_is_missing"},
        [0, 2],
    ),
    (
        "column_pair_values_to_be_in_set",
        {"column_A": "s", "column_B": "m", "value_pairs_set": [["abc", 5], ["", 2], [None, 7]]},
        [3, 5],
    ),
    ("multicolumn_sum_to_equal", {"column_list": ["n", "m"], "sum_total": 10}, [1, 2, 3, 5]),
    ("multicolumn_values_to_be_equal", {"column_list": ["n", "m"]}, [1, 2, 3, 5]),
    ("select_column_values_to_be_unique_within_record", {"column_list": ["n", "m"]}, [0]),
]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SCHEMA)


def compiled(
    folder: Path, frame: DataFrame, *entries: dict[str, Any], name: str = "suite", checked: bool = True
) -> CompiledSuite:
    file = folder / "suite.json"
    file.write_text(json.dumps({"name": name, "expectations": entries}), encoding="utf-8")
    if checked:
        assert check_suite(file, columns=dict(frame.dtypes)) == []
    return compile_suite(frame.sparkSession, schema=frame.schema, suite=read_suite(file))


def rule(type_: str, rule_id: str = "", severity: str = "critical", /, **kwargs: Any) -> dict[str, Any]:
    meta = {"meta": {"rule_id": rule_id}} if rule_id else {}
    return {"type": f"expect_{type_}", "kwargs": kwargs, "severity": severity, **meta}


def failing(frame: DataFrame, suite: CompiledSuite) -> dict[str, list[int]]:
    labels = label(frame, suite=suite, decoded=F.lit(True)).select("key", "failed_rules").collect()
    return {one.id: sorted(row.key for row in labels if one.id in row.failed_rules) for one in suite.rules}


def counted(frame: DataFrame, suite: CompiledSuite, *, decoded: Any = None) -> dict[str, int]:
    seen = F.lit(True) if decoded is None else decoded
    observation = Observation()
    aggregates = count_aggregates(suite, decoded=seen)
    labelled = label(frame, suite=suite, decoded=seen)
    labelled.observe(observation, *(one.alias(name) for name, one in aggregates.items())).write.format("noop").mode(
        "overwrite"
    ).save()
    return observation.get


def test_every_row_level_type_labels_the_rows_that_fail_it(tmp_path: Path, rows: DataFrame) -> None:
    assert {f"expect_{type_}" for type_, _, _ in CASES} == set(ROW_LEVEL)
    suite = compiled(tmp_path, rows, *(rule(type_, str(at), **kwargs) for at, (type_, kwargs, _) in enumerate(CASES)))
    found = failing(rows, suite)
    for place, (type_, kwargs, expected) in enumerate(CASES):
        assert found[str(place)] == expected, f"{type_} {kwargs}"


def test_a_row_condition_narrows_a_rule_and_mostly_changes_no_row(tmp_path: Path, rows: DataFrame) -> None:
    condition = {"type": "comparison", "column": {"name": "m"}, "operator": ">", "parameter": 2}
    suite = compiled(
        tmp_path,
        rows,
        rule(
            "column_values_to_be_between",
            "sql",
            column="n",
            min_value=6,
            row_condition="m > 2",
            condition_parser="spark",
        ),
        rule("column_values_to_be_between", "object", column="n", min_value=6, row_condition=condition),
        rule("column_values_to_be_between", "mostly", column="n", min_value=6, mostly=0.01),
    )
    assert failing(rows, suite) == {"sql": [0, 2], "object": [0, 2], "mostly": [0, 2]}


def test_only_decoded_rows_are_judged(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(tmp_path, rows, rule("column_values_to_be_null", "empty", column="key"))
    seen = F.col("key") >= 4
    labelled = label(rows, suite=suite, decoded=seen).orderBy("key").collect()
    assert [row.failed_rules for row in labelled] == [[], [], [], [], ["empty"], ["empty"]]
    assert [row.failed_critical for row in labelled] == [False] * 4 + [True] * 2
    assert counted(rows, suite, decoded=seen) == {"rows": 2, "failed:empty": 2}
    unknown = label(rows, suite=suite, decoded=F.lit(None).cast("boolean")).collect()
    assert all(row.failed_rules == [] for row in unknown)


def test_only_a_critical_rule_is_critical_and_labels_keep_the_order_of_the_suite(
    tmp_path: Path, rows: DataFrame
) -> None:
    suite = compiled(
        tmp_path,
        rows,
        rule("column_values_to_be_null", "z", "info", column="key"),
        rule("column_values_to_not_be_null", "b", "critical", column="s"),
        rule("column_values_to_not_be_null", "a", "warning", column="t"),
    )
    labelled = {row.key: row for row in label(rows, suite=suite, decoded=F.lit(True)).collect()}
    assert labelled[4].failed_rules == ["z", "b", "a"]
    assert [key for key, row in labelled.items() if row.failed_critical] == [2, 4]


def test_a_suite_without_rules_labels_nothing(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(tmp_path, rows)
    labelled = label(rows, suite=suite, decoded=F.lit(True)).collect()
    assert {(tuple(row.failed_rules), row.failed_critical) for row in labelled} == {((), False)}
    assert dict(rows.select(failed_rules(suite, decoded=F.lit(True)).alias("f")).dtypes) == {"f": "array<string>"}
    assert validation_result(suite, counted(rows, suite)).success


def test_compiling_runs_no_job_and_labelling_is_one_projection(
    tmp_path: Path, rows: DataFrame, spark: SparkSession
) -> None:
    context = spark.sparkContext
    context.setJobGroup("compiling", "compiling")
    native = [case for case in CASES if "strftime" not in case[0] and "json" not in case[0]]
    suite = compiled(tmp_path, rows, *(rule(type_, **kwargs) for type_, kwargs, _ in native))
    assert list(context.statusTracker().getJobIdsForGroup("compiling")) == []
    context.setJobGroup("", "")
    labelled = label(rows, suite=suite, decoded=F.lit(True))
    plan = labelled._jdf.queryExecution().executedPlan().toString()
    assert not re.search(r"Filter |Join|Python|Exchange|Window", plan), plan


def test_a_value_that_only_other_rows_may_meet_is_never_computed(tmp_path: Path, spark: SparkSession) -> None:
    """In ANSI mode a division by zero would end the batch; the row condition keeps such rows out, as GX's filter does."""
    frame = spark.sql("select * from values (0L, 0, 1.0D), (1L, 2, 8.0D) as t(key, n, x)")
    entry = rule(
        "column_values_to_be_null", "big", column="x", row_condition="n <> 0 and x / n > 1", condition_parser="spark"
    )
    assert failing(frame, compiled(tmp_path, frame, entry)) == {"big": [1]}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (rule("column_values_to_not_be_null", column="nope"), "nope"),
        (rule("column_values_to_be_unique", column="n"), "other rows of the batch"),
        (rule("column_values_to_match_regex", column="s", regex="a{,3}"), "Illegal repetition"),
        (rule("column_values_to_be_between", column="n", min_value=2, max_value=1), "min_value"),
        (rule("column_values_to_be_between", column="n"), "min_value"),
        (rule("column_values_to_be_between", column="s", min_value=1), "StringType"),
        (rule("column_values_to_be_in_set", column="s"), "value_set"),
        (rule("column_values_to_be_of_nothing", column="s"), "Great Expectations"),
        (rule("column_values_to_be_null", column="s", row_condition="nope > 1", condition_parser="spark"), "nope"),
        (rule("column_values_to_be_null", column="s", row_condition="n >", condition_parser="spark"), "Syntax error"),
    ],
)
def test_what_can_not_be_compiled_is_one_sentence_that_names_the_rule(
    tmp_path: Path, rows: DataFrame, entry: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(tmp_path, rows, entry, checked=False)
    assert str(tmp_path / "suite.json") in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "at org.apache" not in str(caught.value)


def test_the_result_is_gx_own_and_mostly_decides_there(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(
        tmp_path,
        rows,
        rule("column_values_to_be_between", "strict", column="n", min_value=0),
        rule("column_values_to_be_between", "lenient", column="n", min_value=0, mostly=0.75),
        rule(
            "column_values_to_be_between",
            "some",
            column="n",
            min_value=0,
            row_condition="m > 6",
            condition_parser="spark",
        ),
    )
    result = validation_result(suite, counted(rows, suite))
    strict, lenient, some = result.results
    assert not result.success
    assert (strict.success, lenient.success, some.success) == (False, True, False)
    assert strict.result == {
        "element_count": 6,
        "unexpected_count": 1,
        "unexpected_percent": 25.0,
        "missing_count": 2,
        "missing_percent": pytest.approx(100 / 3),
        "unexpected_percent_total": pytest.approx(100 / 6),
        "unexpected_percent_nonmissing": 25.0,
    }
    assert (some.result["element_count"], some.result["unexpected_count"]) == (1, 1)


def test_counts_of_batches_add_up(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(tmp_path, rows, *(rule(type_, **kwargs) for type_, kwargs, _ in CASES))
    whole = counted(rows, suite)
    first, second = counted(rows.where("key < 3"), suite), counted(rows.where("key >= 3"), suite)
    assert whole == {name: first[name] + second[name] for name in whole}


def test_a_missing_count_is_an_error_and_not_a_zero(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(tmp_path, rows, rule("column_values_to_be_null", "a", column="s"))
    with pytest.raises(ValueError, match="no count named 'failed:a'"):
        validation_result(suite, {"rows": 1})


TABLE_RULES = [
    rule("table_row_count_to_equal", "rows", value=6),
    rule("table_columns_to_match_set", "columns", column_set=["key"], exact_match=False),
    rule("column_to_exist", "exists", column="nope"),
    rule("column_values_to_be_of_type", "type", column="n", type_="LongType"),
    rule("column_max_to_be_between", "max", column="price", max_value=1),
    rule("column_distinct_values_to_be_in_set", "distinct", column="s", value_set=["abc"]),
    rule("column_mean_to_be_between", "mean", column="m", min_value=0, max_value=10),
]


def test_table_level_expectations_never_label_and_need_a_frame_only_for_aggregates(
    tmp_path: Path, rows: DataFrame, spark: SparkSession
) -> None:
    suite = compiled(tmp_path, rows, *TABLE_RULES)
    assert suite.rules == ()
    counts = counted(rows, suite)
    spark.sparkContext.setJobGroup("result", "result")
    without = validation_result(suite, counts)
    assert list(spark.sparkContext.statusTracker().getJobIdsForGroup("result")) == []
    spark.sparkContext.setJobGroup("", "")
    assert [one.success for one in without.results] == [True, True, False, True]
    assert without.meta["not_evaluated"] == ["max", "distinct", "mean"]
    full = validation_result(suite, counts, frame=rows)
    assert [one.success for one in full.results] == [True, True, False, True, False, False, True]
    assert [one.result for one in full.results] == [
        {"observed_value": 6},
        {},
        {},
        {"observed_value": "LongType"},
        {},
        {},
        {},
    ]


def test_no_value_of_a_record_reaches_a_result_or_a_page(tmp_path: Path, spark: SparkSession) -> None:
    secret = "4929-1234-5678-9012"
    frame = spark.createDataFrame([(0, secret, 77665544), (1, secret, 77665544)], "key long, s string, n long")
    suite = compiled(
        tmp_path,
        frame,
        rule("column_values_to_be_in_set", column="s", value_set=["a"]),
        rule("column_values_to_be_between", column="n", max_value=1),
        rule("column_max_to_be_between", column="n", max_value=1),
        rule("column_mean_to_be_between", "mean", column="n", max_value=1),
        rule(
            "column_quantile_values_to_be_between",
            column="n",
            quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 1]]},
        ),
        rule("column_most_common_value_to_be_in_set", column="s", value_set=["a"]),
        rule("column_distinct_values_to_equal_set", column="s", value_set=["a"]),
        rule("column_mean_to_be_between", column="s", max_value=1),
    )
    result = validation_result(suite, counted(frame, suite), frame=frame)
    index = write_data_docs(tmp_path / "docs", results=[result])
    written = [
        json.dumps(result.to_json_dict()),
        *(file.read_text() for file in index.parent.rglob("*.*") if file.is_file()),
    ]
    assert len(written) == 4
    for text in written:
        assert secret not in text
        assert "77665544" not in text.replace(",", "")


def run(suite: CompiledSuite, counts: dict[str, int], minute: int) -> Any:
    when = datetime(2024, 1, 1, 0, minute, tzinfo=UTC)
    return validation_result(suite, counts, run_name=f"batch {minute}", run_time=when)


HOSTILE = "<script>alert('rule')</script>"


@pytest.fixture
def hostile(tmp_path: Path, rows: DataFrame) -> Sequence[Any]:
    entry = rule("column_values_to_match_regex", HOSTILE, column="s", regex='<b onclick="x()">&lt;\'$regex')
    entry["notes"] = '<img src="https://evil.example/x.png" onerror=alert(1)> [a](javascript:alert(2))'
    other = rule("column_values_to_be_in_set", column="s", value_set=["</style><script>alert(3)</script>"])
    suite = compiled(tmp_path, rows, entry, other, name="</title><script>alert('suite')</script>")
    counts = counted(rows, suite)
    return [run(suite, counts, minute) for minute in range(4)]


def test_data_docs_load_nothing_and_escape_what_a_suite_says(tmp_path: Path, hostile: Sequence[Any]) -> None:
    index = write_data_docs(tmp_path / "docs", results=hostile)
    pages = [index, *sorted((tmp_path / "docs" / "runs").glob("*.html"))]
    assert len(pages) == 5
    for page in pages:
        text = page.read_text(encoding="utf-8")
        tags = re.findall(r"<[a-zA-Z!/][^>]*>", text)
        assert not [
            tag for tag in tags if re.search(r"<(script|img|iframe|link|object|form|base)\b", tag, re.IGNORECASE)
        ]
        assert not [tag for tag in tags if re.search(r"\s(on\w+|src|style)\s*=", tag, re.IGNORECASE)]
        assert all(re.match(r"(runs/[\w.-]+|\.\./index\.html)$", link) for link in re.findall(r'href="([^"]*)"', text))
        assert "@import" not in text
        assert "url(" not in text
        assert text.count("</title>") == text.count("</style>") == 1
    shown = pages[1].read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(&#x27;rule&#x27;)&lt;/script&gt;" in shown
    assert '<b onclick="x()">&lt;\'$regex' in unescape(shown)
    assert "</style><script>alert(3)</script>" in unescape(shown)


def test_data_docs_keep_the_last_runs_and_a_repeated_run_once(tmp_path: Path, hostile: Sequence[Any]) -> None:
    folder = tmp_path / "docs"
    write_data_docs(folder, results=hostile[:2], keep=3)
    write_data_docs(folder, results=hostile[1:3], keep=3)
    assert len(list((folder / "runs").glob("*.html"))) == 3
    index = write_data_docs(folder, results=[hostile[3]], keep=3)
    links = re.findall(r'href="(runs/[^"]+)"', index.read_text(encoding="utf-8"))
    assert [link[5:18] for link in links] == ["20240101T0003", "20240101T0002", "20240101T0001"]
    assert all((folder / link).is_file() for link in links)
    assert len(list((folder / "runs").iterdir())) == 6


def test_the_expression_for_critical_reads_labels_under_any_name(tmp_path: Path, rows: DataFrame) -> None:
    suite = compiled(tmp_path, rows, rule("column_values_to_not_be_null", "a", column="s"))
    named = rows.withColumn("mine", failed_rules(suite, decoded=F.lit(True)))
    found = named.where(failed_critical(suite, failed=F.col("mine"))).select("key").collect()
    assert sorted(row.key for row in found) == [2, 4]


LONG = "ab" * 100_000


def test_a_long_text_fails_a_regex_that_repeats_a_group_and_ends_nothing(spark: SparkSession, tmp_path: Path) -> None:
    texts = ["ab" * 333, "ab" * 333 + "a", LONG, "x" * 666, "x" * 667, None, ""]
    frame = spark.createDataFrame(list(enumerate(texts)), "key long, s string")
    with pytest.raises(Exception, match="StackOverflowError"):  # the fault: in a task it ends Spark as a whole
        spark._jvm.java.util.regex.Pattern.compile("^(a|b)*$").matcher(LONG).find()
    match, other = "column_values_to_match_regex", "column_values_to_not_match_regex"
    suite = compiled(
        tmp_path, frame,
        rule(match, "match", column="s", regex="^(a|b)*$"),
        rule(other, "other", column="s", regex="^(a|b)*$"),
        rule(f"{match}_list", "list", column="s", regex_list=["^x", "^(a|b)*$"], match_on="any"),
        rule(f"{other}_list", "no list", column="s", regex_list=["^y", "^(a|b)*$"]),
        rule(match, "possessive", column="s", regex="^(a|b)*+$"),
        rule(match, "narrowed", column="s", regex="^(a|b)*$", row_condition="key = 2", condition_parser="spark"),
    )  # fmt: skip
    assert failing(frame, suite) == {
        "match": [1, 2, 3, 4], "other": [0, 1, 2, 4, 6], "list": [1, 2, 4], "no list": [0, 1, 2, 4, 6],
        "possessive": [3, 4], "narrowed": [2],
    }  # fmt: skip
    counts = counted(frame, suite)
    assert (counts["rows"], counts["failed:match"], counts["failed:narrowed"]) == (7, 4, 1)


def test_a_text_of_the_greatest_length_fits_the_stack(spark: SparkSession, tmp_path: Path) -> None:
    """However many groups there are: at the length that is allowed, each regex is asked."""
    for groups in (1, 4, 16, 40):
        regex = "^" + "(" * groups + "a|b" + ")" * groups + "*$"
        length = longest_text(regex)
        assert length is not None
        frame = spark.createDataFrame([(0, "ab" * (length // 2)), (1, "a" * (length - 1) + "x")], "key long, s string")
        suite = compiled(tmp_path, frame, rule("column_values_to_match_regex", "r", column="s", regex=regex))
        assert failing(frame, suite) == {"r": [1]}


def test_spark_puts_nothing_of_its_environment_into_a_condition(spark: SparkSession) -> None:
    row = (
        spark.range(1).select(F.expr("'${env:PATH}'").alias("path"), F.expr("'${spark.app.name}'").alias("app")).first()
    )
    assert row is not None
    assert tuple(row) == ("${env:PATH}", "${spark.app.name}")
