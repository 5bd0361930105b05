"""Regular expressions, LIKE patterns and date formats that would stop a stream, found before it starts.

Spark compiles a regex with Java when the first row arrives, so what only Python understands is refused here. There is no
JVM in this check: the few Java-only constructs are put in Python's words, then Python's own compiler judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.quality.check_kwargs import Finding
from headrace.quality.slow_patterns import slowness

_PYTHON_ONLY = {
    r"\(\?P<": "(?P<name>...) is Python's; Java writes (?<name>...)",
    r"\(\?P=": r"(?P=name) is Python's; Java writes \k<name>",
    r"\(\?#": "Java has no comments (?#...) in a regex",
    r"\(\?\(": "Java has no conditionals (?(1)...)",
    r"\(\?[a-zA-Z]*[aL][a-zA-Z]*[:)-]": "Java has no flags (?a) and (?L)",
    r"\\U": r"Java has no \U; write \x{...}",
    r"\{,\d*\}": "Java needs a lower limit: write {0,n}",
    r"\{(?!\d+(,\d*)?\})": r"Java reads { as the start of a repetition; write \{ for the character",
}
_JAVA_TO_PYTHON = (
    (re.compile(r"\\Q(.*?)(\\E|$)", re.DOTALL), lambda found: re.escape(found[1])),
    (re.compile(r"\(\?<(?![=!])"), lambda _: "(?P<"),
    (re.compile(r"\\k<(\w+)>"), lambda found: f"(?P={found[1]})"),
    (re.compile(r"\\[pP](\{\w+(=\w+)?\}|\w)"), lambda _: r"\w"),
    (re.compile(r"\\x\{[0-9A-Fa-f]{1,6}\}"), lambda _: "x"),
    (re.compile(r"\\[hHvVRX]"), lambda _: r"\s"),
    (re.compile(r"\\[zZG]"), lambda _: ""),
    (re.compile(r"&&\["), lambda _: r"\["),
)
_HIDDEN = re.compile(r"\\(?:[pPxN]\{[^}]*\}|Q.*?(?:\\E|$)|[^U])", re.DOTALL)
_CLASS = re.compile(r"\[(?:\^)?\]?[^\]]*\]")


def check_patterns(type_: str, kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the patterns of a row-level expectation."""
    if isinstance(kwargs.get("regex"), str):
        yield from ((message, ("regex",)) for message in regex_problems(kwargs["regex"]))
    listed = kwargs.get("regex_list")
    if isinstance(listed, list):
        if not listed:
            yield "'regex_list' is empty; give at least one regex", ("regex_list",)
        for index, regex in enumerate(listed):
            if isinstance(regex, str):
                yield from ((message, ("regex_list", index)) for message in regex_problems(regex))
    yield from _check_like(kwargs)
    if isinstance(kwargs.get("strftime_format"), str) and not _round_trip(kwargs["strftime_format"]):
        yield f"strftime_format {kwargs['strftime_format']!r} can't be read back", ("strftime_format",)


def regex_problems(regex: str) -> Iterator[str]:
    """Why a regex is not valid, or means nothing, in Java, or may take without end. At most one reason."""
    visible, outside = _HIDDEN.sub("", regex), visible_part(regex)
    for construct, remedy in _PYTHON_ONLY.items():
        if re.search(construct, outside):
            yield f"regex {regex!r} is not valid in Java, which Spark uses: {remedy}"
            return
    if any("[" in found[1:] for found in _CLASS.findall(visible) if "&&" not in found):
        yield f"regex {regex!r}: Java reads [ inside [...] as the start of another class; write \\["
        return
    translated = regex
    for java, python in _JAVA_TO_PYTHON:
        translated = java.sub(python, translated)
    if re.search(r"[^\\]\(\?[imsxu]+\)", translated):  # Java takes flags anywhere, Python only at the start
        translated = re.sub(r"(?<!^)\(\?[imsxu]+\)", "", translated)
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        yield f"regex {regex!r} is not valid: {error}"
        return
    slow = slowness(regex)
    if slow:
        yield f"regex {regex!r} is slow on a text that does not match: {slow}"


def visible_part(regex: str) -> str:
    """The regex without what is escaped or quoted, and with ``x`` for each class of characters."""
    return _CLASS.sub("x", _HIDDEN.sub("", regex))


def _check_like(kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    listed = kwargs.get("like_pattern_list")
    patterns: list[tuple[Any, tuple[str | int, ...]]] = [(kwargs.get("like_pattern"), ("like_pattern",))]
    if isinstance(listed, list):
        if not listed:
            yield "'like_pattern_list' is empty; give at least one pattern", ("like_pattern_list",)
        patterns += [(one, ("like_pattern_list", index)) for index, one in enumerate(listed)]
    escape = kwargs.get("escape") or "\\"
    for pattern, key in patterns:
        if isinstance(pattern, str) and isinstance(escape, str):
            rest = re.sub(re.escape(escape) + "[_%" + re.escape(escape) + "]", "", pattern, flags=re.DOTALL)
            if escape in rest:
                yield f"pattern {pattern!r}: {escape!r} must stand before %, _ or itself", key


def _round_trip(form: str) -> bool:
    try:
        datetime.strptime(datetime.now(UTC).strftime(form), form)
    except ValueError:
        return False
    return True
