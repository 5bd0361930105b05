"""What one stream's ledger hears of its micro-batches: the records read, counted before they are decoded, and the commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.errors import AccountingError
from headrace.ingest.records import count_records
from headrace.lake.ledger import Ledger, open_ledger

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_READ = "read"


class Accounts:
    """Keeps a stream's ledger. One micro-batch at a time: :meth:`counted` before the write, :meth:`write` after the commit."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self._name, self._ledger = name, ledger
        self._observed: tuple[int, Observation] | None = None

    @property
    def version(self) -> int:
        """The newest version of the table that the ledger holds."""
        return self._ledger.version

    def counted(self, records: DataFrame, batch_id: int) -> DataFrame:
        """The batch's records as Kafka gave them; the pass that reads them counts them."""
        observation = Observation()
        self._observed = batch_id, observation
        return records.observe(observation, F.count(F.lit(1)).alias(_READ))

    def write(self, batch_id: int) -> None:
        """Take in the commits since the last batch, its own among them.

        Raises AccountingError where the batch committed more or fewer rows than it read records. Its ledger says so too, so a
        job that is started again goes on, and the audit tells.
        """
        number, observation = self._observed or (None, None)
        self._observed = None
        read = None  # of a write that Delta skips: its observation would never answer
        if observation is not None and number == batch_id:
            read = int(observation.get[_READ])
        for record in self._ledger.follow(batch=batch_id, read=read):
            if record.read is not None and record.read != record.total:
                raise AccountingError(
                    f"stream {self._name!r}: batch {record.batch} read {record.read} records and committed {record.total} "
                    "rows; headrace audit shows where. Started again, the ingest goes on behind this batch"
                )


def open_accounts(
    spark: SparkSession, *, name: str, topic: str, folder: str, table: str, broker: Broker, notify: Callable[[str], None]
) -> Accounts:  # fmt: skip
    """The accounts of a stream, with what was missing put right. ``folder``: the ledger's."""
    count = partial(count_records, broker, topic)
    return Accounts(name, open_ledger(spark, name=name, folder=folder, table=table, count=count, notify=notify))
