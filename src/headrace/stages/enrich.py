"""enrich: columns looked up in small reference tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import SpecError
from headrace.packaged import packaged_file
from headrace.spec.stream import Reference, Stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "__reference_key"
_TYPES = {"string": "string", "int": "int", "long": "bigint", "double": "double"}


def load_reference(spark: SparkSession, reference: Reference, *, folder: Path) -> DataFrame:
    """A reference's CSV file (plain or zipped): ``__reference_key string``, then the declared columns, one row per key.

    Raises SpecError where a column is absent, a value has another type, or a key occurs twice (it would multiply rows).
    """
    import pandas as pd
    import pyarrow as pa

    path = packaged_file(reference.package, reference.file) if reference.package else folder / reference.file
    try:
        table = pd.read_csv(
            path, usecols=list(reference.columns), dtype=str, keep_default_na=False, na_values=["", "NA"]
        )
    except ValueError as error:
        raise SpecError(f"{path.name}: {str(error).splitlines()[0]}; correct the reference's columns") from None
    table = table.dropna(subset=[reference.key])
    twice = table[reference.key][table[reference.key].duplicated()]
    if len(twice):
        raise SpecError(
            f"{path.name}: key {reference.key!r} occurs more than once ({len(twice)} times); it must be unique"
        )
    texts = spark.createDataFrame(
        pa.Table.from_pandas(table, pa.schema([(name, pa.string()) for name in table.columns]), preserve_index=False)
    )
    typed = (F.col(name).try_cast(_TYPES[kind]).alias(name) for name, kind in reference.columns.items())
    return texts.select(F.col(reference.key).alias(KEY), *typed)


def enrich(events: DataFrame, *, stream: Stream, references: Mapping[str, DataFrame]) -> DataFrame:
    """The same rows, in number and order of columns, with the looked-up columns added (null where the key is unknown)."""
    for lookup in stream.enrich:
        table = references[lookup.reference]
        chosen = table.select(KEY, *(F.col(source).alias(name) for name, source in lookup.columns.items()))
        events = events.join(F.broadcast(chosen), F.col(lookup.on).cast("string") == F.col(KEY), "left").drop(KEY)
    return events
