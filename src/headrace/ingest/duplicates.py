"""Copies that producers send: which record came first, for every micro-batch and after every restart.

Before a batch is written a pass over it computes the hashes of its keys and nothing else. They are held against the accepted
keys within the horizon, which lie in memory. Records that occur twice within the batch are labelled ahead of the others,
since a copy of a record that will be quarantined is none. What is found goes into the one pass that writes the batch. The
keys in memory come from the table: at the first batch after a start, and again after a commit that changed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from headrace.ingest.firsts import Firsts, Look
from headrace.ingest.key_index import Keys
from headrace.ingest.known_keys import NEWEST, OFFSET_BITS, keys_of, milliseconds, newest_times, packed, read_firsts
from headrace.ingest.watch import Batch, Watch
from headrace.lake.log import read_log
from headrace.lake.tables import ACCEPTED, QUARANTINED
from headrace.spec.section import seconds
from headrace.spec.stream import Duplicates
from headrace.stages.keys import record_keys
from headrace.stages.stages import DUPLICATE_OF, labelled

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

MANY_KEYS = 1_000_000
"""From so many on the person who waits for the first batch is told what is read."""
_BAD = "__quarantined"
_HARMLESS = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END", "ADD COLUMNS", "SET TBLPROPERTIES", "CREATE TABLE"})
"""Commits that change no row."""


class DuplicateWatch(Watch):
    """Finds the copies in each micro-batch of a stream that declares ``duplicates``."""

    def __init__(
        self, spark: SparkSession, *, name: str, table: str, topic: str, duplicates: Duplicates, notify: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._spark, self._name, self._table, self._topic, self._notify = spark, name, table, topic, notify
        self._by, self._horizon = duplicates.by, duplicates.within
        self._firsts: Firsts | None = None
        self._version = -1
        self._look: Look | None = None

    def ahead(self, batch: Batch) -> Batch:
        """The batch; where there are copies, with marks of ``__duplicate_of string``: coordinates of the first record."""
        firsts = self._follow(batch.version)
        stream, schema = batch.way.stream, batch.way.schema
        keys, keyed = keys_of(record_keys(batch.records, stream=stream, schema=schema, by=self._by).toArrow())
        keys = replace(keys, time=np.minimum(keys.time, milliseconds(batch.begun)))
        self._look = look = firsts.look(keys, keyed, accepted=lambda asked: self._accepted(batch, asked))
        marks = self._marks(look) if len(look.copies.position) else None
        return replace(batch, marks=marks, metadata=batch.metadata | {NEWEST: look.newest})

    def observed(self, batch: Batch) -> Mapping[str, Column]:
        """The coordinates of quarantined rows, packed: what was accepted is known without another look at the table."""
        place = F.shiftleft(F.col("__partition").cast("long"), OFFSET_BITS) + F.col("__offset")
        return {_BAD: F.collect_list(F.when(F.col("verdict") == QUARANTINED, place))}

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """Take in what was accepted."""
        if self._firsts is None or self._look is None:
            raise ValueError("a batch was committed that this watch has not seen ahead")
        fresh = self._look.fresh
        bad = np.isin(packed(fresh.partition, fresh.offset), np.array(observed[_BAD], np.int64))
        self._firsts.remember(fresh.at(~bad), newest=self._look.newest)
        self._version, self._look = batch.version + 1, None

    def _follow(self, version: int) -> Firsts:
        """The accepted records as of a version of the table."""
        if self._firsts is None or (version != self._version and self._rows_changed()):
            newest = newest_times(self._spark, self._table)
            self._firsts = Firsts(within=1000 * seconds(self._horizon), newest=newest)
            read_firsts(self._spark, self._table, by=self._by, into=self._firsts)
            if len(self._firsts.index) >= MANY_KEYS:
                count = f"{len(self._firsts.index):,}"
                self._notify(f"stream {self._name!r}: remembers {count} keys of the last {self._horizon}")
        self._version = version
        return self._firsts

    def _rows_changed(self) -> bool:
        """Whether something else than this ingest has changed rows: released some, or erased some."""
        since = read_log(self._spark, self._table, after=self._version)
        return any(not entry.is_batch and entry.operation not in _HARMLESS for entry in since)

    def _accepted(self, batch: Batch, asked: Keys) -> np.ndarray:
        """Which of these records would be accepted. They are chosen before they are decoded: a filter after it decodes twice."""
        places = self._spark.createDataFrame(pa.table({"partition": asked.partition, "offset": asked.offset}))
        chosen = batch.records.join(F.broadcast(places), ["partition", "offset"], "left_semi")
        found = labelled(chosen, batch.way).select("__partition", "__offset", "verdict").toArrow()
        good = found.filter(pc.field("verdict") == ACCEPTED)
        partition, offset = (good.column(name).to_numpy() for name in ("__partition", "__offset"))
        return np.isin(packed(asked.partition, asked.offset), packed(partition, offset))

    def _marks(self, look: Look) -> DataFrame:
        copies = look.copies
        firsts = zip(copies.partition.tolist(), copies.offset.tolist(), strict=True)
        marks = pa.table(
            {
                "partition": look.keys.partition[copies.position],
                "offset": look.keys.offset[copies.position],
                DUPLICATE_OF: [f"{self._topic}/{partition}/{offset}" for partition, offset in firsts],
            }
        )
        return self._spark.createDataFrame(marks)
