"""What SQL a pipeline file may contain. Everything else is code, and refused."""

from __future__ import annotations

import pytest

from headrace.errors import SpecError
from headrace.spec.sql import FUNCTIONS, checked, columns_of

COLUMNS = ("amount", "kind", "known_at")

REFUSED = [
    "java_method('java.lang.System', 'exit', 0)",
    "reflect('java.lang.System', 'getenv', 'HOME')",
    "REFLECT('java.lang.System', 'getenv')",
    "`java_method`('java.lang.System', 'exit', 0)",
    "try_reflect('java.lang.System', 'getenv')",
    "system.builtin.reflect('java.lang.System', 'getenv')",
    "builtin.abs(amount)",
    "my_udf(amount)",
    "(select 1)",
    "amount in (select 1)",
    "amount > (select max(amount) from accepted)",
    "exists (select 1)",
    "exists(select 1 from t)",
    "select amount",
    "from t select amount",
    "with x as (select 1) select 1",
    "values (1)",
    "read_files('/etc/passwd')",
    "input_file_name()",
    "from_csv(kind, 'a int')",
    "secret('scope', 'key')",
    "aes_decrypt(kind, kind)",
    "current_user()",
    "current_user",
    "session_user",
    "current_timestamp()",
    "current_date",
    "now()",
    "rand()",
    "uuid()",
    "version()",
    "monotonically_increasing_id()",
    "identifier('amount')",
    "ai_query('m', kind)",
    "raise_error('x')",
    "count(*)",
    "sum(amount)",
    "lag(amount) over (order by known_at)",
    "abs(amount) over ()",
    "transform(kind, x -> x)",
    "explode(kind)",
    "array(1)",
    "struct(amount)",
    "kind[0]",
    "t.amount",
    "amount.part",
    "*",
    "amount as x",
    "amount -> 'x'",
    "amount; drop table t",
    "amount;\nselect 1",
    "amount -- \n; select 1",
    "amount /* x */; select 1",
    "interval 1 day",
    "known_at + interval 1 day",
    "${x}",
    "${spark.sql.warehouse.dir}",
    ":name",
    "?",
    "@x",
    "{{ amount }}",
    "x'41'",
    "r'\\d'",
    "kind like 'x' escape '!'",
    "kind collate UTF8_LCASE = 'x'",
    "kind = 'it''s'",
    "kind = 'a' 'b'",
    "cast(amount as struct<x: int>)",
    "cast(amount as nonsense)",
    "amount in ()",
    "amount in kind",
    "hour(known_at, amount)",
    "abs()",
    "",
    "   ",
    "-- only a comment",
    "/* only a comment */",
    "amount +",
    "((((",
    "'open",
    "(" * 3000 + "amount" + ")" * 3000,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SpecError) as error:
        checked(text, COLUMNS)
    assert "\n" not in str(error.value).replace(text, "").replace(repr(text), "")


ALLOWED = {
    "abs": "abs(amount)", "cast": "cast(amount as int)", "ceil": "ceil(amount)", "coalesce": "coalesce(amount, 0)",
    "concat": "concat(kind, 'x')", "cos": "cos(amount)", "date_format": "date_format(known_at, 'yyyy-MM')",
    "datediff": "datediff(known_at, known_at)", "dayofmonth": "dayofmonth(known_at)", "dayofweek": "dayofweek(known_at)",
    "dayofyear": "dayofyear(known_at)", "exp": "exp(amount)", "floor": "floor(amount)",
    "from_utc_timestamp": "from_utc_timestamp(known_at, 'America/New_York')", "greatest": "greatest(amount, 1)",
    "hour": "hour(known_at)", "if": "if(amount > 1, 1, 0)", "isnan": "isnan(amount)", "isnull": "isnull(amount)",
    "least": "least(amount, 1)", "length": "length(kind)", "ln": "ln(amount)", "log1p": "log1p(amount)", "lower": "lower(kind)",
    "minute": "minute(known_at)", "mod": "mod(amount, 2)", "month": "month(known_at)", "nullif": "nullif(kind, '')",
    "pmod": "pmod(amount, 2)", "pow": "pow(amount, 2)", "quarter": "quarter(known_at)", "round": "round(amount, 1)",
    "second": "second(known_at)", "sin": "sin(amount)", "sqrt": "sqrt(amount)", "substring": "substring(kind, 1, 2)",
    "to_date": "to_date(kind)", "trim": "trim(kind)", "unix_timestamp": "unix_timestamp(known_at)", "upper": "upper(kind)",
    "weekofyear": "weekofyear(known_at)", "year": "year(known_at)",
}  # fmt: skip


def test_every_listed_function_has_an_example_here() -> None:
    assert tuple(ALLOWED) == FUNCTIONS


@pytest.mark.parametrize("text", ALLOWED.values())
def test_a_listed_function_may_be_called(text: str) -> None:
    assert checked(text, COLUMNS)
    assert columns_of(text) <= set(COLUMNS)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("amount /* hidden */ + 1", "amount + 1"),
        ("amount -- trailing", "amount"),
        ("/*+ BROADCAST(amount) */ amount", "amount"),
        ("amount = 1 -- '\n or true", "amount = 1 OR TRUE"),
        ("kind = '-- no comment'", "kind = '-- no comment'"),
        ("kind = '/* none */'", "kind = '/* none */'"),
        ("kind = 'it\\'s'", "kind = 'it\\'s'"),
        ("amount == 1", "amount = 1"),
        ("amount;", "amount"),
    ],
)
def test_what_spark_gets_is_written_from_the_checked_tree(text: str, written: str) -> None:
    assert checked(text, COLUMNS) == written


@pytest.mark.parametrize("text", [*ALLOWED.values(), "not (amount > 1 and kind is null) or kind in ('a', 'b')"])
def test_writing_back_twice_changes_nothing(text: str) -> None:
    once = checked(text, COLUMNS)
    assert checked(once, COLUMNS) == once


def test_an_unknown_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match="no column 'amuont' for 'amuont > 1'; did you mean 'amount'"):
        checked("amuont > 1", COLUMNS)
    with pytest.raises(SpecError, match="no column 'zzz' for 'zzz'; expected one of amount, kind, known_at"):
        checked("zzz", COLUMNS)
    with pytest.raises(SpecError, match="no column 'Amount'"):
        checked("Amount", COLUMNS)


def test_without_columns_any_plain_name_is_accepted() -> None:
    assert columns_of("a > 1 and b = 'c'") == {"a", "b"}
    with pytest.raises(SpecError):
        columns_of("reflect('a', 'b')")


def test_a_subquery_is_named_as_such() -> None:
    with pytest.raises(SpecError, match="'subquery"):
        checked("amount in (select 1)", COLUMNS)
