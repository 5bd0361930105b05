"""What became of payments, known days later: settled or charged back; some never, and a few corrected."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.draw import Draws
from headrace.feed.payments.frame import Frame, index, stacked, taken
from headrace.feed.payments.habits import HOUR_MS
from headrace.feed.payments.kinds import CHARGEBACK, NONE, SETTLED

FIRST_HOUR, LAST_HOUR = 24, 24 * 8
"""A payment's outcome is known so many hours after it: honest and fraudulent ones after the same times."""
CORRECTED_HOURS = 24 * 6
LATEST_DAYS = (LAST_HOUR + CORRECTED_HOURS) // 24 + 3


def outcomes_of(payments: Frame, *, draws: Draws) -> Frame:
    """The outcomes of one day's payments.

    Columns: those of the payments, with ``at`` (when it was decided, ms since 1970), ``outcome`` and ``correction`` (0, or 1
    for the second word on a payment, which is the truth).
    """
    i = index(payments["day"], payments["number"])
    fraud = payments["pattern"] != NONE
    hours = FIRST_HOUR + draws.below("decided", i, LAST_HOUR - FIRST_HOUR)
    wait = hours * HOUR_MS + draws.below("decided moment", i, HOUR_MS)
    share = draws.share("corrected", i)
    wrong = np.where(fraud, share < 0.04, share < 0.003)
    first = {
        **payments,
        "at": payments["at"] + wait,
        "outcome": np.where(fraud != wrong, CHARGEBACK, SETTLED),
        "correction": np.zeros(len(i), dtype=np.int64),
    }
    again = HOUR_MS + draws.below("corrected moment", i, CORRECTED_HOURS - 1) * HOUR_MS
    second = {
        **first,
        "at": first["at"] + again,
        "outcome": np.where(fraud, CHARGEBACK, SETTLED),
        "correction": np.ones(len(i), dtype=np.int64),
    }
    told = draws.share("never told", i) >= 0.01
    return stacked([taken(first, told), taken(second, told & wrong)])
