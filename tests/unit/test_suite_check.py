"""A suite file's mistakes are all found at once, each with its line, without Spark and without Great Expectations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import SpecError
from headrace.quality import REFUSED, ROW_LEVEL, check_suite, read_suite, row_condition_sql
from headrace.quality.catalogue import expectation_types, table_level_types

COLUMNS = {
    "id": "bigint",
    "size": "int",
    "name": "string",
    "city": "string",
    "price": "double",
    "cost": "decimal(10,2)",
    "huge": "decimal(38,10)",
    "day": "date",
    "at": "timestamp",
    "open": "boolean",
    "raw": "binary",
    "tags": "array<string>",
}


def rule(type_: str, /, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{type_}", "kwargs": kwargs}


def check(folder: Path, *entries: Any) -> list[str]:
    """Messages of a suite with one entry a line, from line 4 on, each after its line number."""
    file = folder / "suite.json"
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    file.write_text('{\n"name": "orders",\n"expectations": [\n' + lines + "\n]}\n", encoding="utf-8")
    found = check_suite(file, columns=COLUMNS)
    assert all(problem.file == file for problem in found)
    return [f"{problem.line}: {problem.message}" for problem in found]


SOUND = [
    rule("column_values_to_not_be_null", column="id"),
    rule("column_values_to_be_null", column="tags"),
    rule("column_values_to_be_between", column="id", min_value=1, max_value=2**53, strict_min=True),
    rule("column_values_to_be_between", column="price", min_value=-0.5),
    rule("column_values_to_be_between", column="cost", max_value=100),
    rule("column_values_to_be_between", column="day", min_value="2024-02-29", max_value=None),
    rule("column_values_to_be_between", column="at", min_value="2024-01-01T00:00:00+02:00"),
    rule("column_values_to_be_in_set", column="name", value_set=["a", ""], mostly=0.295),
    rule("column_values_to_be_in_set", column="open", value_set=[True]),
    rule("column_values_to_not_be_in_set", column="size", value_set=[1, 2.5]),
    rule("column_value_lengths_to_be_between", column="name", min_value=1),
    rule("column_value_lengths_to_equal", column="name", value=3),
    rule("column_values_to_match_regex", column="name", regex=r"^\p{L}+(?<rest>[\w-]{2,})\Q.(\E$"),
    rule("column_values_to_not_match_regex", column="name", regex=r"(?i)x\{"),
    rule("column_values_to_match_regex_list", column="name", regex_list=["^a", "b$"], match_on="all"),
    rule("column_values_to_not_match_regex_list", column="name", regex_list=["^a"]),
    rule("column_values_to_match_like_pattern", column="name", like_pattern="a\\%%"),
    rule("column_values_to_not_match_like_pattern_list", column="name", like_pattern_list=["a!_%"], escape="!"),
    rule("column_values_to_match_strftime_format", column="name", strftime_format="%Y-%m-%d"),
    rule("column_values_to_be_json_parseable", column="name"),
    rule("column_pair_values_to_be_equal", column_A="name", column_B="city"),
    rule("column_pair_values_a_to_be_greater_than_b", column_A="at", column_B="day", or_equal=True),
    rule("column_pair_values_to_be_in_set", column_A="name", column_B="size", value_pairs_set=[["a", 1], [None, 2]]),
    rule("multicolumn_sum_to_equal", column_list=["id", "cost", "price"], sum_total=10),
    rule("multicolumn_values_to_be_equal", column_list=["name", "city"], ignore_row_if="never"),
    rule("select_column_values_to_be_unique_within_record", column_list=["id", "size"]),
    rule("table_row_count_to_be_between", min_value=1),
    rule("column_mean_to_be_between", column="price", min_value=0),
    rule("column_to_exist", column="absent"),
    rule("column_values_to_not_be_null", column="id", row_condition="size > 1", condition_parser="spark"),
]


def test_a_sound_suite_has_no_problem(tmp_path: Path) -> None:
    assert check(tmp_path, *SOUND) == []


# each entry has one mistake; the words are what the message must say
MISTAKES: list[tuple[dict[str, Any], str]] = [
    (rule("column_values_to_be_betwen", column="id"), "did you mean 'expect_column_values_to_be_between'?"),
    (rule("column_values_to_not_be_null", colum="id"), "unknown key 'colum'"),
    (rule("column_values_to_not_be_null"), "needs 'column'"),
    (rule("column_values_to_not_be_null", column="id", severity="info"), "write 'severity' beside \"kwargs\""),
    (rule("column_values_to_not_be_null", column=7), "'column' must be a text that is not empty, got 7"),
    (rule("column_values_to_not_be_null", column="idd"), "no column 'idd'; did you mean 'id'?"),
    (rule("column_values_to_not_be_null", column="id", mostly=1.5), "'mostly' must be a number from 0 to 1, got 1.5"),
    (rule("column_values_to_be_in_set", column="name", value_set="a"), "'value_set' must be a list of texts"),
    (rule("column_values_to_be_in_set", column="name", value_set=[]), "with at least one value"),
    (rule("column_values_to_be_in_set", column="name", value_set=[12]), "is string and is compared with texts, got 12"),
    (rule("column_values_to_be_in_set", column="size", value_set=["12"]), "is int and is compared with numbers"),
    (rule("column_values_to_be_in_set", column="size", value_set=[True]), "is int and is compared with numbers"),
    (rule("column_values_to_be_in_set", column="id", value_set=[2**53 + 1]), "beyond 2^53"),
    (rule("column_values_to_be_in_set", column="day", value_set=["2023-02-29"]), "is a date"),
    (rule("column_values_to_be_in_set", column="tags", value_set=["a"]), "can't be compared"),
    (rule("column_values_to_be_in_set", column="name", value_set={"$PARAMETER": "p"}), "suite parameters"),
    (rule("column_values_to_be_between", column="name", min_value=1), "between compares numbers, dates or timestamps"),
    (rule("column_values_to_be_between", column="name", min_value="2024-01-01"), "column 'name' is string"),
    (rule("column_values_to_be_between", column="open", min_value=0), "column 'open' is boolean"),
    (rule("column_values_to_be_between", column="id", max_value=2**53 + 1), "beyond 2^53"),
    (rule("column_values_to_be_between", column="id"), "give min_value, max_value or both"),
    (rule("column_values_to_be_between", column="id", min_value=2, max_value=1), "min_value 2 is above max_value 1"),
    (rule("column_values_to_be_between", column="id", min_value="2024-01-01"), "compared with numbers"),
    (rule("column_values_to_be_between", column="at", min_value="2024-01-01T00:00:00"), "(with an offset)"),
    (rule("column_values_to_be_between", column="day", min_value=20240101), "is a date"),
    (rule("column_value_lengths_to_be_between", column="size", min_value=1), "reads texts, and column 'size' is int"),
    (rule("column_value_lengths_to_be_between", column="name"), "give min_value, max_value or both"),
    (rule("column_value_lengths_to_be_between", column="name", min_value=1.5), "must be a whole number"),
    (rule("column_values_to_match_regex", column="size", regex="1"), "reads texts"),
    (rule("column_values_to_match_regex", column="name", regex="(a"), "is not valid"),
    (rule("column_values_to_match_regex", column="name", regex="(?P<y>a)"), "Java writes (?<name>...)"),
    (rule("column_values_to_match_regex", column="name", regex="(a)(?P=y)"), r"Java writes \k<name>"),
    (rule("column_values_to_match_regex", column="name", regex="(?(1)a|b)"), "no conditionals"),
    (rule("column_values_to_match_regex", column="name", regex="a{,3}"), "write {0,n}"),
    (rule("column_values_to_match_regex", column="name", regex="{x"), r"write \{"),
    (rule("column_values_to_match_regex", column="name", regex="[[a]"), "start of another class"),
    (rule("column_values_to_match_regex_list", column="name", regex_list=["a", "*"]), "is not valid"),
    (rule("column_values_to_match_regex_list", column="name", regex_list=[]), "give at least one regex"),
    (rule("column_values_to_match_like_pattern", column="name", like_pattern="a\\"), "must stand before"),
    (rule("column_values_to_match_strftime_format", column="name", strftime_format="%D"), "can't be read back"),
    (rule("column_pair_values_to_be_equal", column_A="name", column_B="size"), "they can't be compared"),
    (
        rule("column_pair_values_to_be_in_set", column_A="name", column_B="size", value_pairs_set=[["a", "b"]]),
        "numbers",
    ),
    (
        rule(
            "column_pair_values_to_be_in_set",
            column_A="name",
            column_B="city",
            value_pairs_set=[["a", "b"]],
            row_condition="size > 1",
            condition_parser="spark",
        ),
        "forgets the row_condition",
    ),
    (rule("multicolumn_sum_to_equal", column_list=["id", "name"], sum_total=1), "only numbers have a sum"),
    (rule("multicolumn_sum_to_equal", column_list=["id", "huge"], sum_total=1), "could overflow"),
    (rule("multicolumn_values_to_be_equal", column_list=["id"]), "at least two columns"),
    (rule("multicolumn_values_to_be_equal", column_list=["id", "no"]), "no column 'no'"),
    (rule("column_values_to_be_unique", column="id"), "depends on other rows of the batch"),
    (rule("column_values_to_match_json_schema", column="name", json_schema={}), "one bad record would stop the stream"),
    (rule("column_values_to_not_be_null", column="id", row_condition="size > 1"), '"condition_parser": "spark"'),
    (
        rule("column_values_to_not_be_null", column="id", row_condition="size > 1", condition_parser="pandas"),
        '"condition_parser": "spark"',
    ),
    (rule("column_values_to_not_be_null", column="id", row_condition={"type": "x"}), "none of GX's conditions"),
    (
        rule(
            "column_values_to_not_be_null",
            column="id",
            row_condition={"type": "nullity", "column": {"name": "siz"}, "is_null": True},
        ),
        "row_condition: no column 'siz'; did you mean 'size'?",
    ),
    (
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "severity": "fatal"},
        "unknown severity",
    ),
    ({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "serverity": "info"}, "did you mean"),
    ({"kwargs": {}}, 'an object with a "type"'),
]


def test_all_mistakes_are_found_at_once_each_on_its_line(tmp_path: Path) -> None:
    messages = check(tmp_path, *(entry for entry, _ in MISTAKES))
    for line, (entry, words) in enumerate(MISTAKES, start=4):
        own = [message for message in messages if message.startswith(f"{line}: ")]
        assert own, f"nothing was found wrong with {entry}"
        assert any(words in message for message in own), f"{entry}: {own}"


@pytest.mark.parametrize("type_", sorted(REFUSED))
def test_a_refused_type_is_reported_with_its_reason(tmp_path: Path, type_: str) -> None:
    assert check(tmp_path, {"type": type_, "kwargs": {}}) == [f"4: {type_} can't be used here: {REFUSED[type_]}"]


def test_a_rule_id_given_twice_names_the_line_of_the_first(tmp_path: Path) -> None:
    entry = {**rule("column_values_to_not_be_null", column="id"), "meta": {"rule_id": "here"}}
    assert check(tmp_path, entry, entry) == ["5: rule_id 'here' is already that of line 4; give another"]


def test_a_broken_file_is_one_problem_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    file.write_text('{\n"name": "a",\n"expectations": [}\n', encoding="utf-8")
    [problem] = check_suite(file, columns={})
    assert (problem.line, "not valid" in problem.message) == (3, True)
    [absent] = check_suite(tmp_path / "absent.json", columns={})
    assert "no such file" in absent.message


def test_every_known_type_is_row_level_refused_or_table_level() -> None:
    kinds = [set(ROW_LEVEL), set(REFUSED), set(table_level_types())]
    assert len(ROW_LEVEL) == len(set(ROW_LEVEL)) >= 20
    assert set.union(*kinds) == set(expectation_types())
    assert sum(map(len, kinds)) == len(expectation_types())


def test_rule_ids_without_a_name_are_made_of_type_and_column_and_never_repeat(tmp_path: Path) -> None:
    entry = rule("column_values_to_not_be_null", column="id")
    pair = rule("column_pair_values_to_be_equal", column_A="id", column_B="size")
    named = {**entry, "meta": {"rule_id": "to_not_be_null:id#2"}}
    assert check(tmp_path, entry, entry, named, pair) == []
    ids = [one.rule_id for one in read_suite(tmp_path / "suite.json").expectations]
    assert ids == [
        "to_not_be_null:id",
        "to_not_be_null:id#3",
        "to_not_be_null:id#2",
        "column_pair_values_to_be_equal:id,size",
    ]


def test_a_condition_object_becomes_the_sql_that_gx_hands_to_spark(tmp_path: Path) -> None:
    condition = {
        "type": "and",
        "conditions": [
            {"type": "comparison", "column": {"name": "city"}, "operator": "IN", "parameter": ["O'Fallon", "x"]},
            {"type": "nullity", "column": {"name": "size"}, "is_null": False},
        ],
    }
    assert check(tmp_path, rule("column_values_to_not_be_null", column="id", row_condition=condition)) == []
    [expectation] = read_suite(tmp_path / "suite.json").expectations
    assert row_condition_sql(expectation) == """(`city` IN ("O'Fallon", 'x') AND `size` IS NOT NULL)"""


def test_numbers_keep_their_json_meaning(tmp_path: Path) -> None:
    """YAML would read 1e5 as a text."""
    (tmp_path / "suite.json").write_text(
        '{"name": "a", "expectations": [{"type": "expect_column_values_to_be_between",'
        ' "kwargs": {"column": "id", "max_value": 1e5}}]}',
        encoding="utf-8",
    )
    [expectation] = read_suite(tmp_path / "suite.json").expectations
    assert expectation.kwargs["max_value"] == 100_000.0
    assert check_suite(tmp_path / "suite.json", columns=COLUMNS) == []


def test_reading_a_suite_with_an_unknown_severity_is_refused(tmp_path: Path) -> None:
    """GX itself would drop the expectation without a word."""
    file = tmp_path / "suite.json"
    file.write_text(
        '{"name": "a",\n"expectations": [\n{"type": "t", "kwargs": {}, "severity": "bad"}]}', encoding="utf-8"
    )
    with pytest.raises(SpecError, match=r"suite\.json:3: unknown severity 'bad'"):
        read_suite(file)


def test_a_check_imports_neither_gx_nor_spark(tmp_path: Path) -> None:
    check(tmp_path, *SOUND)
    code = (
        "import sys; from pathlib import Path\n"
        "from headrace.quality.check import check_suite\n"
        f"check_suite(Path({str(tmp_path / 'suite.json')!r}), columns={COLUMNS!r})\n"
        "print({'great_expectations', 'pyspark', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
