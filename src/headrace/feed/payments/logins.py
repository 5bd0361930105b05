"""What happens on devices: logins, failed ones, passwords set anew, new devices."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.customers import Customers
from headrace.feed.payments.draw import Draws
from headrace.feed.payments.frame import Frame, index, stacked, taken
from headrace.feed.payments.habits import HOUR_MS, OWN_DEVICES, own_address, own_device
from headrace.feed.payments.kinds import ENROLLED, FAILED, LOGIN, NONE, RESET, STRANGER, TAKEOVER
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS

PER_DAY = 0.35
"""Logins of a customer in a day, on average."""


def device_events(day: int, *, customers: Customers, draws: Draws, takeovers: Frame) -> Frame:
    """The day's events on the customers' devices, and the takeovers', in no order.

    Columns: ``number`` in the day, ``day``, ``customer``, ``at`` (ms since 1970), ``kind``, ``device`` and ``ip`` (codes),
    ``pattern``.
    """
    made = stacked([_logins(day, customers, draws), _second_devices(day, customers), takeovers])
    made = taken(made, made["at"] >= customers.joined[made["customer"]])
    count = len(made["at"])
    pattern = np.where(made["device"] >= STRANGER, TAKEOVER, NONE)
    return {"number": np.arange(count), "day": np.full(count, day), **made, "pattern": pattern}


def _logins(day: int, customers: Customers, draws: Draws) -> Frame:
    """Logins; some fail first, and a few people who forgot their password set a new one."""
    i = index(day, np.arange(int(customers.count * PER_DAY)))
    customer = customers.slots[draws.below("user", i, len(customers.slots))]
    at = EPOCH_MS + day * DAY_MS + 5 * HOUR_MS + draws.below("login", i, 18 * HOUR_MS)
    device = own_device(customer, at, draws.share("login device", i), customers=customers)
    ip = own_address(customer, draws.below("login address", i, 4))
    share = draws.share("forgets", i)
    parts: list[Frame] = []
    for who, delay, kind in (
        (share < 0.08, -40_000, FAILED),
        (share < 0.02, -20_000, FAILED),
        (share < 0.01, -10_000, RESET),
        (share < 1.0, 0, LOGIN),
    ):
        every = {"customer": customer, "at": at + delay, "kind": np.full(len(i), kind), "device": device, "ip": ip}
        parts.append(taken(every, who))
    return stacked(parts)


def _second_devices(day: int, customers: Customers) -> Frame:
    begins = EPOCH_MS + day * DAY_MS
    who = np.flatnonzero((customers.second_device >= begins) & (customers.second_device < begins + DAY_MS))
    return {
        "customer": who,
        "at": customers.second_device[who],
        "kind": np.full(len(who), ENROLLED),
        "device": who * OWN_DEVICES + 1,
        "ip": own_address(who, who),
    }
