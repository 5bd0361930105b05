"""Functions that a Spark worker applies to texts: each distinct value of a batch is computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.privacy.nested import array_of, over_leaves
from headrace.spec.paths import Path

Make = Callable[[str], str | None]


def text_function(prepare: Callable[[], Make], *, steps: Path) -> Any:
    """A Spark function from texts to texts, in arrays as the steps say; null stays null.

    ``prepare`` is called in the worker, once per batch: a key that it looks up is in no plan.
    """
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import StringType

    def apply(values: pa.Array) -> pa.Array:
        make = prepare()
        return over_leaves(values, lambda leaves, _: _distinct(leaves, make))

    return arrow_udf(apply, array_of(StringType(), steps))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _distinct(values: pa.Array, make: Make) -> pa.Array:
    encoded = values.dictionary_encode()
    made = [None if value is None else make(value) for value in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(made, pa.string()), encoded.indices)
