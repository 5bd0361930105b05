"""Which regexes get a limit of the text's length, and that SQL takes none that needs one."""

from __future__ import annotations

import pytest

from headrace.errors import SpecError
from headrace.quality.long_texts import longest_text
from headrace.spec.sql import checked


@pytest.mark.parametrize(
    ("regex", "longest"),
    [
        (r"^(a|b)*$", 666),
        (r"^(?:a|b)+$", 666),
        (r"^(a|b){3,}$", 666),
        (r"^(a|b){40}$", 666),
        (r"^((a|b)*c)*$", 500),
        (r"^((((((((a|b))))))))*$", 200),
        (r"(a|b)*?x", 666),
        (r"(?x) (a|b) *", 500),
        (r"a{2,90000}", 1000),
    ],
)
def test_a_regex_that_repeats_a_group_has_a_limit(regex: str, longest: int) -> None:
    assert longest_text(regex) == longest


@pytest.mark.parametrize(
    "regex",
    [
        r"^[a-z]+$", r"^.*$", r"^(\d{3}-)?\d+$", r"^(a|b)*+$", r"^(\d\d){4}$", r"\)*", r"[()*]+", r"\Q(a)*\E", r"^(a|b)$", r"a{2,}",
        r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$", r"[^)]*", "",
    ],
)  # fmt: skip
def test_a_regex_that_repeats_characters_only_has_none(regex: str) -> None:
    assert longest_text(regex) is None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("kind rlike '^(a|b)*$'", "repeats a group, which ends a query at a long text"),
        ("not regexp_like(kind, '(a|b)+')", "repeats a group"),
        ("kind rlike other", "must be a quoted text"),
        ("kind rlike '(a'", "is not valid"),
    ],
)
def test_sql_with_a_regex_that_could_end_a_query_is_refused(sql: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as error:
        checked(sql)
    assert "\n" not in str(error.value)


def test_sql_with_another_regex_is_fine() -> None:
    assert checked("kind rlike '^[a-z]+$'") == "kind RLIKE '^[a-z]+$'"
    assert checked("kind rlike '^(a|b)*+$'") == "kind RLIKE '^(a|b)*+$'"
