"""The shapes of a sample of a batch's records, as one aggregate of the pass that writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

SAMPLE = 1000
"""About so many records of a batch are looked at; all of a smaller one."""
LARGEST_SHAPE = 8192
UNREAD_END = "\n"
"""Ends the names of fields that could not be read; the shape follows."""
_TYPE, _ENCODING = "decode:type:", "decode:encoding"


def sampled_shapes(*, records: int, largest: int) -> Column:
    """``array<string>``: of labelled rows that are JSON objects, the fields with ``decode:type`` and the record's shape.

    ``records``: about so many are in the batch. ``largest``: a longer record (in bytes) is passed over. Which records are
    looked at depends on their coordinates only.
    """
    one_in = 1
    while records > one_in * SAMPLE:
        one_in *= 2
    # half a surrogate pair in a name: Spark makes a variant of it, and then fails to read it
    chosen = (F.octet_length("__value") <= largest) & ~F.array_contains("failed_rules", _ENCODING)
    if one_in > 1:
        chosen = (F.pmod(F.xxhash64("__partition", "__offset"), F.lit(one_in)) == 0) & chosen
    shape = F.schema_of_variant(F.try_parse_json(F.when(chosen, F.col("__value").cast("string"))))
    unread = F.filter("failed_rules", lambda reason: reason.startswith(_TYPE))
    names = F.concat_ws(",", F.transform(unread, lambda reason: F.substring(reason, len(_TYPE) + 1, 1000)))
    told = F.concat(names, F.lit(UNREAD_END), shape)
    whole = shape.startswith("OBJECT") & (F.length(shape) <= LARGEST_SHAPE)
    return F.collect_list(F.when(whole, told))
