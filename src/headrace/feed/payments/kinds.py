"""What the numbers in the simulation's columns stand for."""

from __future__ import annotations

NONE, CARD_TESTING, TAKEOVER, STOLEN_CARD, ROGUE_MERCHANT, DISPUTED = range(6)
PATTERNS = (None, "card_testing", "takeover", "stolen_card", "rogue_merchant", "disputed")
"""Kinds of fraud; 0 is an honest payment."""

IN_STORE, ONLINE, APP = range(3)
CHANNELS = ("in_store", "online", "app")

CHIP, CONTACTLESS, KEYED, WALLET = range(4)
ENTRIES = ("chip", "contactless", "keyed", "wallet")

LOGIN, FAILED, RESET, ENROLLED = range(4)
DEVICE_EVENTS = ("login", "login_failed", "password_reset", "enrolled")

SETTLED, CHARGEBACK = range(2)
OUTCOME_NAMES = ("settled", "chargeback")

REGISTERED, MOVED = range(2)
CUSTOMER_EVENTS = ("registered", "moved")

ONCE, EXACT, NEAR = range(3)
COPIES = (None, "exact", "near")
"""Whether a record was sent before: with the same bytes, or with the same id."""

NO_DEVICE = -1
STRANGER = 1 << 40
"""Codes of devices and addresses from here on belong to thieves."""
