"""The payment gateway: when a payment's request is sent, and that a few are sent late or twice."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.draw import Draws
from headrace.feed.payments.frame import Frame, index, stacked, taken
from headrace.feed.payments.habits import HOUR_MS
from headrace.feed.payments.kinds import EXACT, IN_STORE, NEAR, ONCE

LATE = 0.01
"""Share of the payments in shops that a terminal without a connection keeps for up to 30 hours."""
TWICE = 0.008
"""Share of the requests that are sent again, within a quarter of an hour or, one in five, within 20 hours."""
SHORT_MS, LONG_MS = HOUR_MS // 4, 20 * HOUR_MS


def requests_of(payments: Frame, *, draws: Draws) -> Frame:
    """What the gateway sends about one day's payments.

    Columns: those of the payments, with ``received`` (by the gateway, the record's own time), ``sent`` (to Kafka; both ms
    since 1970), ``attempt`` (1 or 2) and ``copy``: ONCE, EXACT (the same bytes later) or NEAR (the same id, received anew).
    """
    i = index(payments["day"], payments["number"])
    late = (payments["channel"] == IN_STORE) & (draws.share("late", i) < LATE)
    wait = np.where(late, HOUR_MS // 6 + draws.below("lateness", i, 30 * HOUR_MS), 40 + draws.below("latency", i, 400))
    received = payments["at"] + wait
    ones = np.ones(len(i), dtype=np.int64)
    first = {**payments, "received": received, "sent": received, "attempt": ones, "copy": ones * ONCE}
    twice = draws.share("twice", i) < TWICE
    soon = draws.share("twice soon", i) < 0.8
    gap = 2_000 + draws.below("twice gap", i, np.where(soon, SHORT_MS, LONG_MS))
    near = draws.share("twice near", i) < 0.5
    second = {
        **first,
        "received": np.where(near, received + gap, received),
        "sent": received + gap,
        "attempt": np.where(near, 2, 1),
        "copy": np.where(near, NEAR, EXACT),
    }
    return stacked([{**first, "twice": twice}, taken({**second, "twice": twice}, twice)])
