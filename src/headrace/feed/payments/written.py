"""Events as the JSON that is sent: every column a list of texts, put into one pattern per topic."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments import merchants
from headrace.feed.payments.customers import Customers, Person
from headrace.feed.payments.draw import Draws
from headrace.feed.payments.frame import Frame, index
from headrace.feed.payments.kinds import (
    APP,
    CHANNELS,
    CUSTOMER_EVENTS,
    DEVICE_EVENTS,
    ENTRIES,
    NO_DEVICE,
    OUTCOME_NAMES,
)
from headrace.feed.payments.places import CODES, CURRENCIES

_ADDRESS = '{"name":"%s","line":"%s","city":"%s","postcode":"%s","country":"%s"}'
_AUTHORIZATION = (
    '{"payment_id":"%s","authorized_at":"%sZ","received_at":"%sZ","attempt":%d,"customer_id":"%s","cardholder":"%s",'
    '"card_number":"%s","email":"%s","phone":"%s","ip":%s,"device_id":%s,"merchant_id":"%s","amount":%d.%02d,'
    '"currency":"%s","country":"%s","card_country":"%s","channel":"%s","entry":"%s","billing":%s,"note":%s,'
    '"latitude":%s,"longitude":%s}'
)
_OUTCOME = (
    '{"payment_id":"%s","decided_at":"%sZ","outcome":"%s","customer_id":"%s","card_number":"%s","merchant_id":"%s",'
    '"amount":%d.%02d}'
)
_DEVICE = '{"event_id":"%s","at":"%sZ","kind":"%s","customer_id":"%s","device_id":%s,"ip":%s,"login":"%s","agent":"%s"}'
_CUSTOMER = (
    '{"customer_id":"%s","at":"%sZ","kind":"%s","name":"%s","birth_date":"%s","email":"%s","phone":"%s","iban":%s,'
    '"address":%s,"contacts":[{"kind":"email","value":"%s"},{"kind":"phone","value":"%s"}],"script":"%s","remark":%s}'
)
_NOTES = (
    "Receipt to {email}, please",
    "Bitte vorher unter {phone} anrufen",
    "Rembourser sur {iban} si possible",
    "旧卡号 {card} 已停用",
    "Позовите {phone} или пишите {email}",
    "電話 {phone} まで",
)
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "PayApp/4.2 (Android 15)", "PayApp/4.2 (iOS 18.1)")
_SPELLINGS = (7, 1, 1, 1)
"""Seven of ten write an identifier in its normal form."""


class Writer:
    """Writes the events of a simulation."""

    def __init__(self, customers: Customers, draws: Draws) -> None:
        self._customers, self._draws, self._people = customers, draws, customers.people
        self._addresses = [
            [_ADDRESS % (one.name, home.line, home.city, home.postcode, home.country) for home in one.addresses]
            for one in customers.people
        ]

    def payment_ids(self, rows: Frame) -> list[str]:
        """``payment_id`` of each row."""
        return [f"p{bits:016x}" for bits in self._draws.bits("payment id", self._index(rows)).tolist()]

    def event_ids(self, rows: Frame) -> list[str]:
        """``event_id`` of each row."""
        return [
            f"e{day:03d}-{number:07d}" for day, number in zip(rows["day"].tolist(), rows["number"].tolist(), strict=True)
        ]  # fmt: skip

    def customer_ids(self, rows: Frame) -> list[str]:
        """``customer_id`` of each row."""
        return [one.id for one in self._people_of(rows)]

    def authorizations(self, rows: Frame) -> list[bytes]:
        """Requests, as JSON; two rows of one payment and attempt have the same bytes."""
        people, chosen, i = self._people_of(rows), self._spelled(rows), self._index(rows)
        home = self._homes(rows, rows["at"]).tolist()
        north, east = self._places(rows, i, home)
        customer = rows["customer"].tolist()
        columns = (
            self.payment_ids(rows),
            _times(rows["at"]),
            _times(rows["received"]),
            rows["attempt"].tolist(),
            [one.id for one in people],
            [one.name for one in people],
            self._cards(rows, people, i),
            [one.email[e] for one, (e, _) in zip(people, chosen, strict=True)],
            [one.phones[h][p] for one, h, (_, p) in zip(people, home, chosen, strict=True)],
            self._ips(rows),
            self._devices(rows),
            [merchants.merchant_id(number) for number in rows["merchant"].tolist()],
            (rows["cents"] // 100).tolist(),
            (rows["cents"] % 100).tolist(),
            _named(rows["country"], CURRENCIES),
            _named(rows["country"], CODES),
            _named(self._customers.country[rows["customer"]], CODES),
            _named(rows["channel"], CHANNELS),
            _named(rows["entry"], ENTRIES),
            [self._addresses[who][h] for who, h in zip(customer, home, strict=True)],
            self._notes(people, i, home),
            north,
            east,
        )
        return [(_AUTHORIZATION % row).encode() for row in zip(*columns, strict=True)]

    def outcomes(self, rows: Frame) -> list[bytes]:
        """What became of payments, as JSON."""
        people, i = self._people_of(rows), self._index(rows)
        columns = (
            self.payment_ids(rows),
            _times(rows["at"]),
            _named(rows["outcome"], OUTCOME_NAMES),
            [one.id for one in people],
            self._cards(rows, people, i),
            [merchants.merchant_id(number) for number in rows["merchant"].tolist()],
            (rows["cents"] // 100).tolist(),
            (rows["cents"] % 100).tolist(),
        )
        return [(_OUTCOME % row).encode() for row in zip(*columns, strict=True)]

    def device_events(self, rows: Frame) -> list[bytes]:
        """Events of devices, as JSON."""
        people, i = self._people_of(rows), self._index(rows)
        spelling = self._draws.one_of("login spelling", i, _SPELLINGS).tolist()
        columns = (
            self.event_ids(rows),
            _times(rows["at"]),
            _named(rows["kind"], DEVICE_EVENTS),
            [one.id for one in people],
            self._devices(rows),
            self._ips(rows),
            [one.email[spelled] for one, spelled in zip(people, spelling, strict=True)],
            _named(self._draws.below("agent", rows["device"], len(_AGENTS)), _AGENTS),
        )
        return [(_DEVICE % row).encode() for row in zip(*columns, strict=True)]

    def customer_events(self, rows: Frame) -> list[bytes]:
        """Registrations and moves, as JSON."""
        made: list[bytes] = []
        numbers, kinds, times = rows["customer"].tolist(), rows["kind"].tolist(), _times(rows["at"])
        for number, kind, at in zip(numbers, kinds, times, strict=True):
            one, phone = self._people[number], self._people[number].phones[kind]
            spaced = _quoted(one.iban and " ".join(one.iban[n : n + 4] for n in range(0, len(one.iban), 4)))
            remark = _quoted(f"{phone[1]} / {one.email[1]}" if number % 3 == 0 else None)
            row = (
                one.id, at, CUSTOMER_EVENTS[kind], one.name, one.birth_date.isoformat(), one.email[2], phone[number % 4], spaced,
                self._addresses[number][kind], one.email[0], phone[1], one.script, remark,
            )  # fmt: skip
            made.append((_CUSTOMER % row).encode())
        return made

    def _people_of(self, rows: Frame) -> list[Person]:
        return [self._people[number] for number in rows["customer"].tolist()]

    def _index(self, rows: Frame) -> np.ndarray:
        return index(rows["day"], rows["number"])

    def _spelled(self, rows: Frame) -> list[tuple[int, int]]:
        """Spellings of e-mail and phone; a second attempt may have others."""
        i = self._index(rows)
        pairs: list[np.ndarray] = []
        for what in ("email", "phone"):
            first, second = (self._draws.one_of(f"{what} spelling {attempt}", i, _SPELLINGS) for attempt in (1, 2))
            pairs.append(np.where(rows["attempt"] == 1, first, second))
        return list(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))

    def _cards(self, rows: Frame, people: list[Person], i: np.ndarray) -> list[str]:
        spelling = self._draws.one_of("card spelling", i, _SPELLINGS).tolist()
        return [one.cards[c][s] for one, c, s in zip(people, rows["card"].tolist(), spelling, strict=True)]

    def _homes(self, rows: Frame, at: np.ndarray) -> np.ndarray:
        """0, or 1 for those who have moved."""
        return (at >= self._customers.moved[rows["customer"]]).astype(np.int64)

    def _devices(self, rows: Frame) -> list[str]:
        codes = (self._draws.bits("device id", rows["device"]) >> np.uint64(16)).tolist()
        return [
            "null" if own == NO_DEVICE else f'"d{code:012x}"'
            for own, code in zip(rows["device"].tolist(), codes, strict=True)
        ]

    def _ips(self, rows: Frame) -> list[str]:
        """Addresses of carrier-grade NAT (RFC 6598), one in six of the documentation's IPv6 prefix (RFC 3849)."""
        bits = self._draws.bits("ip", rows["ip"]).tolist()
        made: list[str] = []
        for own, b in zip(rows["ip"].tolist(), bits, strict=True):
            if own == NO_DEVICE:
                made.append("null")
            elif b % 6 == 0:
                made.append(f'"2001:db8:{b >> 16 & 0xFFFF:x}:{b >> 32 & 0xFFFF:x}::{(b >> 48 & 0xFF) + 1:x}"')
            else:
                made.append(f'"100.{64 + (b >> 8 & 63)}.{b >> 16 & 255}.{b >> 24 & 255}"')
        return made

    def _places(self, rows: Frame, i: np.ndarray, home: list[int]) -> tuple[list[str], list[str]]:
        """Where an app was used: within some hundred metres of home."""
        north, east = ["null"] * len(home), ["null"] * len(home)
        jitter = self._draws.below("place", i, 10_000).tolist()
        for place in np.flatnonzero(rows["channel"] == APP).tolist():
            address = self._people[int(rows["customer"][place])].addresses[home[place]]
            north[place] = f"{(address.latitude * 10 + jitter[place] % 100) / 100_000:.5f}"
            east[place] = f"{(address.longitude * 10 + jitter[place] // 100) / 100_000:.5f}"
        return north, east

    def _notes(self, people: list[Person], i: np.ndarray, home: list[int]) -> list[str]:
        """Free text, one in twenty, with an identifier in it and no name: names can't be found by a pattern."""
        made = ["null"] * len(people)
        which = self._draws.below("note", i, len(_NOTES) * 20)
        for place in np.flatnonzero(which < len(_NOTES)).tolist():
            one = people[place]
            made[place] = _quoted(
                _NOTES[which[place]].format(
                    email=one.email[2],
                    phone=one.phones[home[place]][1],
                    iban=one.iban or one.email[0],
                    card=one.cards[0][1],
                )
            )
        return made


def _times(ms: np.ndarray) -> list[str]:
    """ISO-8601 without a zone, to the millisecond."""
    return np.datetime_as_string(ms.astype("datetime64[ms]")).tolist()


def _named(numbers: np.ndarray, names: tuple[str, ...]) -> list[str]:
    return [names[number] for number in numbers.tolist()]


def _quoted(text: str | None) -> str:
    """A text without quotes and backslashes as JSON."""
    return "null" if text is None else f'"{text}"'
