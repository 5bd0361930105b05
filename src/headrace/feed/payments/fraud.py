"""Attacks: stolen cards that are tried out, accounts that are taken over, cards used before they are blocked.

An attack leaves the same traces as in life: quick small payments before a large one, logins that fail before a password is
set anew on a device never seen, payments far from home. Where a regime says that fraud ``imitates`` its victim it leaves few.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.feed.payments import merchants
from headrace.feed.payments.customers import Customers
from headrace.feed.payments.draw import Draws
from headrace.feed.payments.frame import Frame, index, repeated, stacked, taken
from headrace.feed.payments.habits import HOUR_MS, entry_of, own_address, own_device
from headrace.feed.payments.kinds import (
    APP,
    CARD_TESTING,
    CHIP,
    CONTACTLESS,
    ENROLLED,
    FAILED,
    IN_STORE,
    KEYED,
    NO_DEVICE,
    ONLINE,
    RESET,
    STOLEN_CARD,
    STRANGER,
    TAKEOVER,
)
from headrace.feed.payments.places import COUNTRIES
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS, Regime

PER_10_000 = {CARD_TESTING: 20, TAKEOVER: 100, STOLEN_CARD: 75}
"""Attacks a day for 10,000 customers, in steady days: more than in life, so that a small simulation has enough to learn from."""
_PATTERN = 28
"""Payments of pattern p are numbered from (p + 1) x 2^28 in their day: 64 for each attack."""


class Attacks:
    """The attacks of one pattern in one day, and what each of their payments draws."""

    def __init__(self, day: int, pattern: int, *, customers: Customers, draws: Draws, regime: Regime) -> None:
        self.day, self.pattern, self.customers, self.draws, self.regime = day, pattern, customers, draws, regime
        self.first = (pattern + 1) << _PATTERN
        expected = customers.count * PER_10_000[pattern] / 10_000 * regime.fraud_percent / 100
        chance = draws.share(f"attacks {pattern}", index(day, np.zeros(1, dtype=np.int64)))[0]
        self.count = int(expected + chance)
        self.own = index(day, self.first + np.arange(self.count) * 64)
        self.victim = customers.slots[draws.below("victim", self.own, len(customers.slots))]
        self.start = EPOCH_MS + day * DAY_MS + draws.below("attack", self.own, DAY_MS)

    def below(self, purpose: str, limit: int) -> np.ndarray:
        """A whole number for each attack."""
        return self.draws.below(f"attack {purpose}", self.own, limit)

    def payments(self, times: np.ndarray, describe: Callable[[np.ndarray, np.ndarray, np.ndarray], Frame]) -> Frame:
        """``times`` payments of each attack; ``describe`` gets each one's attack, step and index."""
        which, step = repeated(times)
        number = self.first + which * 64 + step
        i = index(self.day, number)
        common = {
            "number": number,
            "day": np.full(len(i), self.day),
            "customer": self.victim[which],
            "card": self.below("card", 2)[which],
            "pattern": np.full(len(i), self.pattern),
        }
        return common | describe(which, step, i)

    def strangers(self, which: np.ndarray) -> np.ndarray:
        """Code of the thief's device and address."""
        return STRANGER + self.own[which]

    def victims_own(self, which: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes of device and address of the victims themselves."""
        customer = self.victim[which]
        return own_device(customer, at, np.zeros(len(at)), customers=self.customers), own_address(customer, which)


def fraudulent_payments(day: int, *, customers: Customers, draws: Draws, regime: Regime) -> tuple[Frame, Frame]:
    """The payments of attacks that begin on a day, in the columns of honest ones; and the takeovers' events of devices.

    Events: ``customer``, ``at``, ``kind`` (see logins.py), ``device``, ``ip``.
    """
    testing, takeover, stolen = (
        Attacks(day, pattern, customers=customers, draws=draws, regime=regime) for pattern in PER_10_000
    )
    made = stacked([_card_testing(testing), _takeover(takeover), _stolen_card(stolen)])
    return taken(made, made["at"] >= customers.joined[made["customer"]]), takeover_events(takeover)


def takeover_events(attacks: Attacks) -> Frame:
    """Two to five failed logins, a new password and a new device, half a minute apart; nothing of imitators."""
    failures = 2 + attacks.below("failures", 4)
    which, step = repeated((failures + 2) * (not attacks.regime.imitates))
    kind = np.where(step < failures[which], FAILED, np.where(step == failures[which], RESET, ENROLLED))
    stranger = attacks.strangers(which)
    return {
        "customer": attacks.victim[which],
        "at": attacks.start[which] + step * 31_000,
        "kind": kind,
        "device": stranger,
        "ip": stranger,
    }


def _card_testing(attacks: Attacks) -> Frame:
    """Four to seven payments of a few cents or euros, minutes apart, then one worth the trouble."""
    imitates, draws = attacks.regime.imitates, attacks.draws

    def describe(which: np.ndarray, step: np.ndarray, i: np.ndarray) -> Frame:
        last = step == times[which] - 1
        gap = HOUR_MS * 5 // 2 if imitates else 70_000
        at = attacks.start[which] + step * gap + draws.below("testing moment", i, gap)
        small = (1_200 if imitates else 50) + draws.below("testing amount", i, 3_500 if imitates else 350)
        large = 8_000 + draws.below("testing amount", i, 32_000)
        cents = np.where(last & (not imitates), large, small)
        category = np.where(last, merchants.ELECTRONICS, merchants.DIGITAL)
        category = np.where(imitates, merchants.FASHION, category)
        merchant = merchants.site(category, attacks.below("merchant", 1 << 20)[which])
        device, ip = attacks.victims_own(which, at) if imitates else (attacks.strangers(which),) * 2
        return {
            "at": at,
            "merchant": merchant,
            "country": merchants.country_of(merchant),
            "channel": np.full(len(i), ONLINE),
            "entry": np.full(len(i), KEYED),
            "cents": cents,
            "device": device,
            "ip": ip,
        }

    times = 5 + attacks.below("length", 4)
    return attacks.payments(times, describe)


def _takeover(attacks: Attacks) -> Frame:
    """One to three payments in the two hours after an account was taken over; an imitator waits for a day."""
    imitates, draws = attacks.regime.imitates, attacks.draws

    def describe(which: np.ndarray, step: np.ndarray, i: np.ndarray) -> Frame:
        wait = DAY_MS if imitates else 5 * 60_000
        at = attacks.start[which] + wait + draws.below("takeover moment", i, 4 * HOUR_MS if imitates else 2 * HOUR_MS)
        category = np.asarray([merchants.FASHION, merchants.ELECTRONICS, merchants.TRAVEL])[
            draws.below("takeover category", i, 3)
        ]
        merchant = merchants.site(category, draws.below("takeover merchant", i, 1 << 20))
        channel = np.where(attacks.below("channel", 10)[which] < 3, APP, ONLINE)
        least, range_ = (1_500, 8_000) if imitates else (4_000, 56_000)
        cents = least + draws.below("takeover amount", i, range_)
        device, ip = attacks.victims_own(which, at) if imitates else (attacks.strangers(which),) * 2
        return {
            "at": at,
            "merchant": merchant,
            "country": merchants.country_of(merchant),
            "channel": channel,
            "entry": entry_of(channel, cents, draws.share("entry", i)),
            "cents": cents,
            "device": device,
            "ip": ip,
        }

    return attacks.payments(1 + attacks.below("length", 3), describe)


def _stolen_card(attacks: Attacks) -> Frame:
    """Two to five purchases in shops within three hours: half of the cards far from home, things that sell again."""
    imitates, draws, customers = attacks.regime.imitates, attacks.draws, attacks.customers

    def describe(which: np.ndarray, step: np.ndarray, i: np.ndarray) -> Frame:
        at = attacks.start[which] + draws.below("stolen moment", i, 3 * HOUR_MS)
        home = customers.country[attacks.victim[which]]
        away = (attacks.below("away", 2)[which] == 1) & (not imitates)
        country = np.where(away, attacks.below("country", len(COUNTRIES))[which], home)
        wanted = np.asarray([merchants.FUEL, merchants.FASHION, merchants.ELECTRONICS, merchants.JEWELLERY])
        everyday = np.asarray([merchants.GROCERY, merchants.RESTAURANT, merchants.FUEL, merchants.FASHION])
        category = (everyday if imitates else wanted)[draws.below("stolen category", i, 4)]
        cents = (600 if imitates else 2_000) + draws.below("stolen amount", i, 4_000 if imitates else 38_000)
        return {
            "at": at,
            "merchant": merchants.shop(country, category, draws.below("stolen merchant", i, 1 << 20)),
            "country": country,
            "channel": np.full(len(i), IN_STORE),
            "entry": np.where(cents <= 5_000, CONTACTLESS, CHIP),
            "cents": cents,
            "device": np.full(len(i), NO_DEVICE),
            "ip": np.full(len(i), NO_DEVICE),
        }

    return attacks.payments(2 + attacks.below("length", 4), describe)
