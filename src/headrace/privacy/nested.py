"""Values inside structs and arrays: how to reach them, and how to put others in their place.

A Spark function goes inside (``replaced``). A worker-side function can't be called inside an array, so its values are taken
out, with the arrays' own shape (``taken``), given to it, and put back (``put``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.spec.paths import ITEMS, Path

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column
    from pyspark.sql.types import DataType, StructType


def replaced(value: Column, steps: Path, make: Callable[[Column], Column]) -> Column:
    """The value with ``make`` applied to what stands at the end of the steps below it."""
    from pyspark.sql import functions as F

    if not steps:
        return make(value)
    head, rest = steps[0], steps[1:]
    if head == ITEMS:
        return F.transform(value, lambda item: replaced(item, rest, make))
    return value.withField(head, replaced(value[head], rest, make))


def dropped(value: Column, steps: Path) -> Column:
    """The value without the field at the end of the steps."""
    return replaced(value, steps[:-1], lambda parent: parent.dropFields(steps[-1]))


def taken(value: Column, steps: Path, text: Callable[[Column], Column] = lambda leaf: leaf.cast("string")) -> Column:
    """What stands at the end of the steps, as ``text`` makes it a text, in an array for each array on the way."""
    from pyspark.sql import functions as F

    if not steps:
        return text(value)
    head, rest = steps[0], steps[1:]
    if head == ITEMS:
        return F.transform(value, lambda item: taken(item, rest, text))
    return taken(value[head], rest, text)


def put(
    value: Column, new: Column, steps: Path, chosen: Callable[[Column, Column], Column] = lambda _, new: new
) -> Column:
    """The value with ``chosen(old, new)`` at the end of the steps; ``new`` has the shape that :func:`taken` gives."""
    from pyspark.sql import functions as F

    if not steps:
        return chosen(value, new)
    head, rest = steps[0], steps[1:]
    if head == ITEMS:
        return F.transform(value, lambda item, at: put(item, F.get(new, at), rest, chosen))
    return value.withField(head, put(value[head], new, rest, chosen))


def anywhere(value: Column, steps: Path, condition: Callable[[Column], Column]) -> Column:
    """Whether the condition (never null) holds for what stands at the end of the steps, in any element of the arrays on the way."""
    from pyspark.sql import functions as F

    if not steps:
        return condition(value)
    head, rest = steps[0], steps[1:]
    if head == ITEMS:
        return F.coalesce(F.exists(value, lambda item: anywhere(item, rest, condition)), F.lit(False))
    return anywhere(value[head], rest, condition)


def array_of(kind: DataType, steps: Path) -> DataType:
    """The type in an array for each array on the way."""
    from pyspark.sql.types import ArrayType

    for _ in range(steps.count(ITEMS)):
        kind = ArrayType(kind)
    return kind


def over_leaves(values: pa.Array, make: Callable[[pa.Array, pa.Array], pa.Array]) -> pa.Array:
    """``make`` applied to the innermost values; it is given them and the row of each (``int64``), and keeps their number."""
    import numpy as np
    import pyarrow as pa

    return _over(values, pa.array(np.arange(len(values))), make)


def _over(values: Any, rows: pa.Array, make: Callable[[pa.Array, pa.Array], pa.Array]) -> pa.Array:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not pa.types.is_list(values.type):
        return make(values, rows)
    lengths = np.asarray(pc.fill_null(values.value_lengths(), 0))
    inner = _over(values.flatten(), pc.take(rows, values.value_parent_indices()), make)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner, mask=values.is_null())


def type_at(schema: StructType, path: Path) -> DataType:
    """The type of what stands at a path of a frame."""
    from pyspark.sql.types import ArrayType, StructType

    kind: DataType = schema
    for step in path:
        if step == ITEMS and isinstance(kind, ArrayType):
            kind = kind.elementType
        elif isinstance(kind, StructType):
            kind = kind[step].dataType
    return kind
