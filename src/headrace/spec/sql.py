"""The SQL that a pipeline file may contain: column arithmetic, comparisons and a fixed list of functions.

Spark SQL can run Java methods, read files and nest queries, so an expression from a file is code. It is therefore parsed,
every node is held against the lists below, and what Spark gets is the text written back from the checked tree (so that
no comment or spelling can mean one thing to the checker and another to Spark).
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from headrace.errors import SpecError
from headrace.quality.check_patterns import regex_problems
from headrace.quality.long_texts import longest_text

_FUNCTIONS: dict[str, type[exp.Expression] | None] = {
    "abs": exp.Abs,
    "cast": exp.Cast,
    "ceil": exp.Ceil,
    "coalesce": exp.Coalesce,
    "concat": exp.Concat,
    "cos": None,
    "date_format": exp.TimeToStr,
    "datediff": exp.DateDiff,
    "dayofmonth": exp.DayOfMonth,
    "dayofweek": exp.DayOfWeek,
    "dayofyear": exp.DayOfYear,
    "exp": exp.Exp,
    "floor": exp.Floor,
    "from_utc_timestamp": exp.AtTimeZone,
    "greatest": exp.Greatest,
    "hour": exp.Hour,
    "if": exp.If,
    "isnan": exp.IsNan,
    "isnull": None,
    "least": exp.Least,
    "length": exp.Length,
    "ln": exp.Ln,
    "log1p": None,
    "lower": exp.Lower,
    "minute": exp.Minute,
    "mod": exp.Mod,
    "month": exp.Month,
    "nullif": exp.Nullif,
    "pmod": None,
    "pow": exp.Pow,
    "quarter": exp.Quarter,
    "round": exp.Round,
    "second": exp.Second,
    "sin": None,
    "sqrt": exp.Sqrt,
    "substring": exp.Substring,
    "to_date": exp.TsOrDsToDate,
    "trim": exp.Trim,
    "unix_timestamp": exp.StrToUnix,
    "upper": exp.Upper,
    "weekofyear": exp.WeekOfYear,
    "year": exp.Year,
}
FUNCTIONS = tuple(sorted(_FUNCTIONS))
"""Names of the functions that an expression may call."""

_CALLS = tuple(kind for kind in _FUNCTIONS.values() if kind is not None)
_ANONYMOUS = {name for name, kind in _FUNCTIONS.items() if kind is None}
_SYNTAX = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div,
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.Is, exp.In, exp.Between,
    exp.Case, exp.If, exp.Like, exp.DataType, exp.DataTypeParam, exp.Var, exp.TimeStrToTime, exp.TryCast,
    exp.Sin, exp.Cos,
)  # fmt: skip

_LONGEST, _DEEPEST = 10_000, 200


def checked(text: str, columns: Iterable[str] | None = None) -> str:
    """The expression, written back from its checked tree, for ``pyspark.sql.functions.expr``.

    ``columns``: the names that it may use; None accepts any. Raises SpecError saying what is not allowed.
    """
    if len(text) > _LONGEST:
        raise SpecError(f"the SQL expression {text[:40]!r}... is longer than {_LONGEST:,} characters; shorten it")
    if "${" in text:  # Spark puts settings and environment variables in its place, in texts too
        raise SpecError(f"'${{' is not allowed in {text!r}; write $ and {{ apart")
    try:
        kinds = [token.token_type for token in sqlglot.tokenize(text, dialect="spark")]
        trees = sqlglot.parse(text, dialect="spark")
    except (SqlglotError, RecursionError) as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        raise SpecError(f"can't read the SQL expression {text!r}: {reason}") from None
    if len(trees) != 1 or trees[0] is None:
        raise SpecError(f"expected one SQL expression, got {text!r}")
    if (TokenType.STRING, TokenType.STRING) in itertools.pairwise(kinds):
        raise SpecError(f"two quoted texts side by side in {text!r}; write a quote inside a text as \\'")
    tree = trees[0]
    known = None if columns is None else list(columns)
    for node in tree.walk():
        _check_node(node, text, known)
        if _depth(node) > _DEEPEST:
            raise SpecError(f"the SQL expression {text[:40]!r}... is nested more than {_DEEPEST} deep; split it")
    return tree.sql(dialect="spark", comments=False)


def columns_of(text: str) -> set[str]:
    """The column names an expression uses. Raises SpecError as :func:`checked` does."""
    checked(text)
    return {column.name for column in sqlglot.parse_one(text, dialect="spark").find_all(exp.Column)}


def _depth(node: exp.Expr) -> int:
    depth, above = 0, node.parent
    while above is not None and depth <= _DEEPEST:
        depth, above = depth + 1, above.parent
    return depth


def _check_node(node: exp.Expr, text: str, columns: list[str] | None) -> None:
    if isinstance(node, exp.Column):
        if len(node.parts) != 1:
            raise SpecError(f"{node.sql()!r} in {text!r}: write a plain column name, without a table or field")
        if columns is not None and node.name not in columns:
            near = difflib.get_close_matches(node.name, columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(columns))}"
            raise SpecError(f"no column {node.name!r} for {text!r}; {hint}")
    elif isinstance(node, exp.RegexpLike):
        _check_regex(node, text)
    elif isinstance(node, exp.In) and not (node.expressions or node.args.get("query")):
        raise SpecError(f"{text!r}: a list after 'in' needs at least one value")
    elif isinstance(node, exp.Anonymous):
        if node.name.lower() not in _ANONYMOUS:
            raise SpecError(
                f"function {node.name.lower()!r} is not allowed in {text!r}; allowed: {', '.join(FUNCTIONS)}"
            )
    elif not isinstance(node, (*_SYNTAX, *_CALLS)):
        what = node.key if isinstance(node, exp.Func) else f"{node.key} (only column expressions are)"
        raise SpecError(f"{what!r} is not allowed in {text!r}; allowed functions: {', '.join(FUNCTIONS)}")


def _check_regex(node: exp.RegexpLike, text: str) -> None:
    """A regex that comes from data, or one that Java fails at, would end a query."""
    regex = node.expression
    if not (isinstance(regex, exp.Literal) and regex.is_string):
        raise SpecError(f"a regex in {text!r} must be a quoted text")
    for problem in regex_problems(regex.name):
        raise SpecError(f"{problem} (in {text!r})")
    if longest_text(regex.name) is not None:
        raise SpecError(
            f"the regex {regex.name!r} in {text!r} repeats a group, which ends a query at a long text; make the repetition "
            "possessive, such as (...)*+, or write an expectation, which limits the text's length"
        )
