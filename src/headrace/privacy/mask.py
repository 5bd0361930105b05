"""Masks: what stays readable of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column


def masked(column: Column, *, keep: int) -> Column:
    """A ``string`` column: every character but the last ``keep`` is ``*``; a text of up to ``keep`` characters is all ``*``."""
    from pyspark.sql import functions as F

    text = column.cast("string")
    if keep == 0:
        return F.repeat(F.lit("*"), F.length(text))
    hidden = F.greatest(F.length(text) - keep, F.lit(0))
    return F.when(F.length(text) <= keep, F.repeat(F.lit("*"), F.length(text))).otherwise(
        F.concat(F.repeat(F.lit("*"), hidden), F.right(text, F.lit(keep)))
    )


def masked_to_domain(column: Column) -> Column:
    """A ``string`` column: ``***@`` and the domain (lower case) of an e-mail address; any other text is ``***``."""
    from pyspark.sql import functions as F

    domain = F.regexp_extract(column.cast("string"), r"^[^@\s]+@([^@\s]+)\s*$", 1)
    return F.when(
        column.isNotNull(),
        F.concat(F.lit("***"), F.when(domain != "", F.concat(F.lit("@"), F.lower(domain))).otherwise("")),
    )
