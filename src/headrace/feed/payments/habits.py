"""Honest payments: who pays where, when, how and how much on an ordinary day."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments import merchants
from headrace.feed.payments.customers import NEVER, Customers
from headrace.feed.payments.draw import Draws, on_curve
from headrace.feed.payments.frame import Frame, index, repeated, stacked, taken
from headrace.feed.payments.kinds import (
    APP,
    CHIP,
    CONTACTLESS,
    DISPUTED,
    IN_STORE,
    KEYED,
    NO_DEVICE,
    NONE,
    ONLINE,
    ROGUE_MERCHANT,
    WALLET,
)
from headrace.feed.payments.places import COUNTRIES
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS, Regime

HOUR_MS = DAY_MS // 24
PER_DAY = 1.1
"""Payments of a customer in a day, on average."""
SPREES_PER_DAY = 0.004
OWN_DEVICES = 4
SPREE = 1 << 28
"""Payments of sprees are numbered from here; those of fraud above (fraud.py)."""

_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 10, 11, 13, 12, 10, 10, 11, 13, 14, 13, 10, 7, 4, 2)
_IN_SHOPS = (40, 25, 12, 10, 5, 4, 0, 2)
_ON_LINE = (8, 10, 0, 22, 16, 12, 28, 2)
_CENTS = (
    (150, 500, 900, 1_500, 2_400, 3_600, 5_500, 8_500, 22_000),
    (300, 800, 1_200, 1_800, 2_600, 3_800, 5_600, 9_000, 30_000),
    (1_000, 2_500, 3_500, 4_300, 5_000, 5_800, 6_800, 8_000, 15_000),
    (500, 1_500, 2_500, 3_800, 5_500, 7_900, 11_000, 18_000, 60_000),
    (900, 2_500, 5_000, 9_000, 15_000, 24_000, 40_000, 70_000, 250_000),
    (1_500, 5_000, 9_000, 15_000, 22_000, 33_000, 50_000, 90_000, 300_000),
    (99, 199, 299, 499, 799, 999, 1_499, 2_999, 12_000),
    (2_000, 6_000, 9_000, 13_000, 19_000, 28_000, 45_000, 90_000, 400_000),
)
"""What is paid in each category of merchants: eighths of the distribution, in cents."""


def honest_payments(day: int, *, customers: Customers, draws: Draws, regime: Regime) -> Frame:
    """The day's honest payments (UTC), without those of customers who have not joined yet, in no order.

    Columns: ``number`` in the day, ``day``, ``customer``, ``card`` (0 or 1), ``at`` (ms since 1970), ``merchant``, ``country``
    where it was paid, ``channel``, ``entry``, ``cents``, ``device`` and ``ip`` (codes), and
    ``pattern``, since some are disputed later.
    """
    made = stacked([_ordinary(day, customers, draws, regime), _sprees(day, customers, draws)])
    return taken(made, made["at"] >= customers.joined[made["customer"]])


def amounts(category: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Cents at a share (0 to 1) of what is usually paid in each category."""
    cents = np.zeros(len(category), dtype=np.int64)
    for number, curve in enumerate(_CENTS):
        here = category == number
        cents[here] = on_curve(share[here], curve)
    return cents


def entry_of(channel: np.ndarray, cents: np.ndarray, share: np.ndarray) -> np.ndarray:
    """How the card was read; ``share``: chance, from 0 to 1."""
    in_store = np.where((cents <= 5_000) & (share < 0.7), CONTACTLESS, CHIP)
    online = np.where(share < 0.7, KEYED, WALLET)
    return np.select([channel == IN_STORE, channel == ONLINE], [in_store, online], WALLET)


def own_device(customer: np.ndarray, at: np.ndarray, share: np.ndarray, *, customers: Customers) -> np.ndarray:
    """Code of the device that a customer uses: the first, or mostly the second once there is one."""
    second = (customers.second_device[customer] != NEVER) & (at >= customers.second_device[customer]) & (share < 0.8)
    return customer * OWN_DEVICES + second


def own_address(customer: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Code of one of a customer's four IP addresses."""
    return customer * 4 + choice % 4


def _ordinary(day: int, customers: Customers, draws: Draws, regime: Regime) -> Frame:
    weekend = (day + 2) % 7 >= 5  # 1 January 2025 was a Wednesday
    number = np.arange(int(customers.count * PER_DAY * (1.2 if weekend else 0.92)))
    i = index(day, number)
    customer = customers.slots[draws.below("payer", i, len(customers.slots))]
    app, online = regime.app_percent, (100 - regime.app_percent) * 40 // 100
    channel = draws.one_of("channel", i, (100 - app - online, online, app))
    remote = channel != IN_STORE
    category = _category(i, remote, draws, regime)
    abroad = draws.share("abroad", i) < 0.03
    here = np.where(abroad, draws.below("country abroad", i, len(COUNTRIES)), customers.country[customer])
    choice = draws.below("merchant", i, 1 << 20)
    merchant = np.where(remote, merchants.site(category, choice), merchants.shop(here, category, choice))
    cents = (
        amounts(category, draws.share("amount", i)) * customers.level[customer] // 100 * regime.amount_percent // 100
    )
    at = _moments(day, i, draws)
    device = own_device(customer, at, draws.share("device", i), customers=customers)
    return {
        "number": number,
        "day": np.full(len(number), day),
        "customer": customer,
        "card": (draws.share("card", i) < 0.25).astype(np.int64),
        "at": at,
        "merchant": merchant,
        "country": np.where(remote, merchants.country_of(merchant), here),
        "channel": channel,
        "entry": entry_of(channel, cents, draws.share("entry", i)),
        "cents": cents,
        "device": np.where(remote, device, NO_DEVICE),
        "ip": np.where(remote, own_address(customer, draws.below("address", i, 4)), NO_DEVICE),
        "pattern": _disputed(day, i, merchant, draws, regime),
    }


def _category(i: np.ndarray, remote: np.ndarray, draws: Draws, regime: Regime) -> np.ndarray:
    online = [
        weight * (regime.digital_percent if category == merchants.DIGITAL else 100)
        for category, weight in enumerate(_ON_LINE)
    ]
    return np.where(remote, draws.one_of("category online", i, online), draws.one_of("category in shops", i, _IN_SHOPS))


def _moments(day: int, i: np.ndarray, draws: Draws) -> np.ndarray:
    within = draws.one_of("hour", i, _HOURS) * HOUR_MS + draws.below("moment", i, HOUR_MS)
    return EPOCH_MS + day * DAY_MS + within


def _disputed(day: int, i: np.ndarray, merchant: np.ndarray, draws: Draws, regime: Regime) -> np.ndarray:
    """Honest-looking payments that turn out bad: all over, and often at the few merchants that are rogue this fortnight."""
    fortnight = np.full(merchants.COUNT, day // 14)
    rogue = draws.share("rogue", index(0, fortnight * 1_000 + np.arange(merchants.COUNT))) < 0.025
    share = draws.share("disputed", i)
    at_rogue = rogue[merchant] & (share < 0.30 * regime.fraud_percent / 100)
    return np.where(at_rogue, ROGUE_MERCHANT, np.where(share < 0.005 * regime.fraud_percent / 100, DISPUTED, NONE))


def _sprees(day: int, customers: Customers, draws: Draws) -> Frame:
    """Three to six small purchases of digital goods within half an hour: honest, but as quick as a thief."""
    count = int(customers.count * SPREES_PER_DAY + draws.share("sprees", index(day, np.zeros(1, dtype=np.int64)))[0])
    spree = index(day, SPREE + np.arange(count))
    times = 3 + draws.below("spree length", spree, 4)
    which, step = repeated(times)
    number = SPREE + which * 64 + step
    i = index(day, number)
    customer = customers.slots[draws.below("spree payer", spree, len(customers.slots))][which]
    at = _moments(day, spree, draws)[which] + draws.below("spree moment", i, HOUR_MS // 2)
    merchant = merchants.site(np.full(len(i), merchants.DIGITAL), draws.below("spree merchant", spree, 1 << 20)[which])
    channel = np.where(draws.share("spree channel", spree) < 0.5, APP, ONLINE)[which]
    cents = amounts(np.full(len(i), merchants.DIGITAL), draws.share("amount", i))
    return {
        "number": number,
        "day": np.full(len(i), day),
        "customer": customer,
        "card": np.zeros(len(i), dtype=np.int64),
        "at": at,
        "merchant": merchant,
        "country": merchants.country_of(merchant),
        "channel": channel,
        "entry": entry_of(channel, cents, draws.share("entry", i)),
        "cents": cents,
        "device": own_device(customer, at, draws.share("device", i), customers=customers),
        "ip": own_address(customer, draws.below("address", spree, 4)[which]),
        "pattern": np.zeros(len(i), dtype=np.int64),
    }
