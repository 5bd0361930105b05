"""Which transactions a table has seen, without going through all of its files.

Before an append with a ``txnAppId``, Delta 4.4.0 asks its snapshot for the table's transactions, and the snapshot answers from
the whole state: every file that the table has, or had within ``delta.deletedFileRetentionDuration``. That is most of what a small
commit costs, and it grows with each batch. The checksum file of the same version (``_delta_log/N.crc``) holds the very list.
Later versions of Delta look there first; until one is pinned, the snapshot is given the list here. Where anything is not as
expected, Delta goes the long way: what it answers is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from headrace.java_classes import java_class
from headrace.lake import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXPIRY = "delta.setTransactionRetentionDuration"
"""With this property a checksum may hold transactions that the state no longer does."""


def recall_transactions(spark: SparkSession, path: str) -> bool:
    """Give the newest snapshot that this process has of the table the transactions of its checksum; whether that was possible.

    The snapshot keeps them in a lazy value: a field, and a bit of another field that says that the first is set. An empty
    snapshot with the same transactions computes the value and shows the bit.
    """
    try:
        log = delta.delta_log(spark, path)
        snapshot = log.unsafeVolatileSnapshot()
        checksum = snapshot.checksumOpt()
        if not checksum.isDefined() or snapshot.metadata().configuration().contains(EXPIRY):
            return False
        known = checksum.get().setTransactions()
        if not known.isDefined():
            return False
        empty = java_class(spark, "org.apache.spark.sql.delta.DummySnapshot")(log.logPath(), log)
        bits = _field(empty.getClass().getSuperclass(), "bitmap$0")
        _field(empty.computedState().getClass(), "setTransactions").set(empty.computedState(), known.get())
        before = bits.getInt(empty)
        transactions = empty.transactions()
        bit = bits.getInt(empty) ^ before
        if bit.bit_count() != 1:
            return False
        _field(empty.getClass().getSuperclass(), "transactions").set(snapshot, transactions)
        return _set_bit(spark, snapshot, bits, bit)
    except Py4JError:
        return False


def _set_bit(spark: SparkSession, snapshot: Any, bits: Any, bit: int) -> bool:
    """In one step, since another thread may set a bit of its own: then this one is not set, and Delta asks as it always did."""
    unsafe = _field(java_class(spark, "java.lang.Class").forName("sun.misc.Unsafe"), "theUnsafe").get(None)
    now = bits.getInt(snapshot)
    return bool(unsafe.compareAndSwapInt(snapshot, unsafe.objectFieldOffset(bits), now, now | bit))


def _field(kind: Any, name: str) -> Any:
    field = kind.getDeclaredField(name)
    field.setAccessible(True)
    return field
