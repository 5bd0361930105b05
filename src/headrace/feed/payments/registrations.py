"""What customers tell of themselves: they register once, and some move."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.customers import Customers
from headrace.feed.payments.frame import Frame, stacked
from headrace.feed.payments.kinds import MOVED, REGISTERED
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS


def customer_events(day: int, *, customers: Customers) -> Frame:
    """The day's registrations and moves: ``number`` (the customer's), ``day``, ``customer``, ``at``, ``kind``."""
    begins = EPOCH_MS + day * DAY_MS
    parts: list[Frame] = []
    for kind, when in ((REGISTERED, customers.joined), (MOVED, customers.moved)):
        who = np.flatnonzero((when >= begins) & (when < begins + DAY_MS))
        parts.append({"number": who, "customer": who, "at": when[who], "kind": np.full(len(who), kind)})
    made = stacked(parts)
    return {"day": np.full(len(made["at"]), day), **made}
