"""How long a text may be for a regex that repeats a group.

Java's regex walks into a repeated group by calling itself, once for each repetition: on a long text the stack overflows, which
ends the query and its Spark with it, at every attempt. So such a rule is failed by a text above a length, without asking Java.
Java needs no stack where the repetition is possessive, such as ``(a|b)*+``: there no length is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from headrace.quality.check_patterns import visible_part

if TYPE_CHECKING:
    from pyspark.sql import Column

_REPEATED_GROUP = re.compile(r"\)\s*(?:[*+]|\{(?:\d+,|\d+,\d{2,}|\d{2,})\})(?!\+)|\{\d+,\d{5,}\}(?!\+)")
_ROOM = 2000
"""Levels of groups that fit on a stack of 1 MB, Java's default, with 40 % left: ``(a|b)*`` was seen to fail at 1,184 characters
where nothing is compiled yet, with eight groups around it at 336, with sixteen at 184.
"""  # fmt: skip


def longest_text(regex: str) -> int | None:
    """Characters of the longest text that a regex may be tried on, or None for any."""
    visible = visible_part(regex)
    return _ROOM // (2 + visible.count("(")) if _REPEATED_GROUP.search(visible) else None


def is_too_long(kwargs: Mapping[str, Any]) -> Column | None:
    """Whether the text is too long for a regex of this expectation (null for no text); None where none sets a length."""
    from pyspark.sql import functions as F

    regexes = [kwargs.get("regex"), *(kwargs.get("regex_list") or [])]
    limits = [limit for regex in regexes if isinstance(regex, str) and (limit := longest_text(regex)) is not None]
    return reduce(or_, (F.length(F.col(kwargs["column"])) > limit for limit in limits)) if limits else None
