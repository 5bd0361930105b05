"""The rows of a training by workers: the newest ones test on the driver, the others stay in their table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.errors import TrainingError
from headrace.spec.kinds import Kind
from headrace.training.apart import Apart, Seen
from headrace.training.dataset import GROUP, LABEL, LABEL_KNOWN_AT
from headrace.training.distributed.boost import NEWEST
from headrace.training.distributed.slots import threads_of
from headrace.training.folds import LEAST
from headrace.training.memory import memory_needed
from headrace.training.snapshot import to_arrow
from headrace.training.split import Split, require_gate_rows
from headrace.training.task import MOST_CLASSES

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

EXAMPLES = 5
_ACCURACY = 1_000_000
_MOST_BAD = 1000


def split_apart(
    rows: DataFrame, *, features: Sequence[str], kind: Kind, share: float, gate_rows: int, total: int, limit: int, workers: int
) -> Split:  # fmt: skip
    """As :func:`headrace.training.split.split_in_time`, but only the test rows come to the driver.

    Raises TrainingError where there are fewer rows than twice ``gate_rows``, or more test rows than ``limit`` bytes hold.
    """
    require_gate_rows(total, gate_rows)
    return split_apart_at(rows, _moment(rows, 1 - share), features=features, kind=kind, limit=limit, workers=workers)


def split_apart_at(
    rows: DataFrame, cut: datetime, *, features: Sequence[str], kind: Kind, limit: int, workers: int
) -> Split:  # fmt: skip
    """As :func:`split_apart`, at a moment (UTC)."""
    when = F.lit(cut)
    older, test = rows.where(F.col("at") < when), rows.where(F.col("at") >= when)
    if GROUP in rows.columns:
        test = test.join(older.select(GROUP).distinct(), GROUP, "left_anti")
    count = test.count()
    needed = memory_needed(count, features=len(features))
    if needed > limit:
        raise TrainingError(
            f"the {count:,} test rows of {len(features)} features are likely to need {needed / 2**30:.1f} GiB on the driver, where "
            f"they are judged, and model.memory allows {limit / 2**30:.1f}; lower model.test_share, or raise model.memory"
        )
    train = older.where(F.col(LABEL_KNOWN_AT) < when)
    return Split(_apart(train, features=features, kind=kind, workers=workers), to_arrow(test), cut)


def with_newest(train: DataFrame, *, share: float) -> DataFrame:
    """The training rows with a column that marks the newest ``share``, without those of the others that were not known by then.

    Raises TrainingError where a part has too few rows, or labels of one kind only.
    """
    begin = F.lit(_moment(train, 1 - share))
    newest = F.col("at") >= begin
    marked = train.where(newest | (F.col(LABEL_KNOWN_AT) < begin)).withColumn(NEWEST, newest)
    counted = marked.groupBy(NEWEST).agg(F.count(F.lit(1)), F.min(LABEL), F.max(LABEL)).collect()
    parts = {bool(part): (rows, least, most) for part, rows, least, most in counted}
    for newer, name in ((False, "training"), (True, "validation")):
        rows, least, most = parts.get(newer, (0, None, None))
        if rows < LEAST or least == most:
            raise TrainingError(
                f"of the rows that tell when to stop, the {name} part has {rows}, or outcomes of one kind only, and needs {LEAST} "
                "of both kinds; choose a later --as-of, or another early_stopping.share"
            )
    return marked


def _apart(train: DataFrame, *, features: Sequence[str], kind: Kind, workers: int) -> Apart:
    asked: list[Column] = [F.count(F.lit(1)).alias("rows"), F.min(LABEL).alias("least"), F.max(LABEL).alias("most")]
    for number, name in enumerate(features):
        value = F.col(name).cast("double")
        known = F.when(~F.isnan(value), value)
        asked += [
            F.count(known).alias(f"known_{number}"), F.min(known).alias(f"least_{number}"), F.max(known).alias(f"most_{number}"),
            F.count_if(F.abs(known) == math.inf).alias(f"infinite_{number}"),
        ]  # fmt: skip
    (told,) = train.agg(*asked).collect()
    rows = int(told["rows"])
    return Apart(
        train,
        rows,
        _labels(train, kind, least=told["least"], most=told["most"]),
        {name: _seen(told, number, rows) for number, name in enumerate(features)},
        train.select("id", *features).orderBy("id").limit(EXAMPLES).toArrow(),
        workers,
        threads_of(train.sparkSession),
    )


def _seen(told: Any, number: int, rows: int) -> Seen:
    known, least, most = int(told[f"known_{number}"]), told[f"least_{number}"], told[f"most_{number}"]
    constant = known == 0 or (known == rows and least == most)
    return Seen(1 - known / rows if rows else 1.0, constant, int(told[f"infinite_{number}"]))


def _labels(train: DataFrame, kind: Kind, *, least: Any, most: Any) -> pa.Table:
    """What tells whether the labels can be learned. Of each class one row, and one too many where there are too many."""
    label = train.select(LABEL)
    if kind in ("binary", "multiclass"):
        return label.distinct().limit(MOST_CLASSES + 1).toArrow()
    number = F.col(LABEL).cast("double")
    bad = number.isNull() | F.isnan(number) | (F.abs(number) == math.inf)
    if kind == "ranking":
        bad = bad | (number % 1 != 0)
    ends = label.where(F.col(LABEL).isin([least, most])).distinct() if least is not None else label.limit(0)
    return label.where(bad).limit(_MOST_BAD).unionByName(ends).toArrow()


def _moment(rows: DataFrame, share: float) -> datetime:
    """The time of the row before which ``share`` of them lie, as Spark's sketch has it: to a millionth of the rows."""
    (found,) = rows.agg(F.percentile_approx(F.unix_micros("at"), share, _ACCURACY)).collect()
    if found[0] is None:
        raise TrainingError("there is no labelled row to train on; choose a later --as-of")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found[0]))
