"""Proof that nothing was lost and nothing came twice: Kafka, the ledger and the table held against each other."""

from headrace.audit.account import Account, Deeply, audit_stream
from headrace.audit.window import Window

__all__ = ["Account", "Deeply", "Window", "audit_stream"]
