"""What was read of each stream, beside what was committed, kept for longer than the table's own log."""

from headrace.lake.ledger.compact import compact_ledger
from headrace.lake.ledger.rebuild import open_ledger
from headrace.lake.ledger.record import Record
from headrace.lake.ledger.writer import Ledger, first_unrecorded

__all__ = ["Ledger", "Record", "compact_ledger", "first_unrecorded", "open_ledger"]
