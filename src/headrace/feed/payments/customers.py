"""The customers: who they are, how their data is spelled, when they join and move."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import numpy as np

from headrace.feed.payments.draw import Draws
from headrace.feed.payments.identifiers import (
    CARDS,
    card_number,
    card_spellings,
    email_spellings,
    iban,
    phone_spellings,
    scattered,
)
from headrace.feed.payments.names import NAMES
from headrace.feed.payments.places import COUNTRIES, Country
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS

Thing = TypeVar("Thing")
MOST = 100_000
CARDS_EACH, HOMES_EACH = 2, 2
NEVER = np.iinfo(np.int64).max
_DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "post.example.com")
_ACTIVITY = (1, 1, 2, 2, 3, 4, 6)
"""How often a customer pays, against the least active ones."""


@dataclass(frozen=True)
class Address:
    """Where somebody lives."""

    line: str
    city: str
    postcode: str
    country: str
    latitude: int
    longitude: int


@dataclass(frozen=True)
class Person:
    """One customer's data; of phones and addresses the second is that after a move. Spellings: the normal form first."""

    id: str
    name: str
    script: str
    birth_date: date
    email: tuple[str, ...]
    phones: tuple[tuple[str, ...], ...]
    cards: tuple[tuple[str, ...], ...]
    iban: str | None
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Customers:
    """All customers, by number."""

    people: list[Person]
    country: np.ndarray
    joined: np.ndarray
    """ms since 1970."""
    moved: np.ndarray
    """ms since 1970; NEVER where somebody stays."""
    second_device: np.ndarray
    """From when somebody also uses a second device, ms since 1970 or NEVER."""
    level: np.ndarray
    """How much somebody spends, in percent."""
    slots: np.ndarray
    """Customer numbers, active ones more often: who pays is drawn from here."""

    @property
    def count(self) -> int:
        return len(self.people)


def make_customers(count: int, draws: Draws) -> Customers:
    """The first ``count`` customers of a seed; a smaller simulation has the first ones of a larger one."""
    numbers = np.arange(count)
    country = draws.one_of("country", numbers, [each.weight for each in COUNTRIES])
    late = draws.share("joins late", numbers) < 0.15
    day = np.where(late, draws.below("join day", numbers, 120), 0)
    joined = EPOCH_MS + day * DAY_MS + draws.below("join time", numbers, np.where(late, DAY_MS, DAY_MS // 24))
    moving = draws.share("moves", numbers) < 0.3
    moved = joined + DAY_MS + draws.below("move", numbers, 2**31 - 1) * 5
    enrolling = draws.share("second device", numbers) < 0.4
    enrolled = joined + draws.below("second device time", numbers, 2**31 - 1) * 5
    activity = np.asarray(_ACTIVITY)[draws.below("activity", numbers, len(_ACTIVITY))]
    return Customers(
        people=_people(numbers, country, draws),
        country=country,
        joined=joined,
        moved=np.where(moving, moved, NEVER),
        second_device=np.where(enrolling, enrolled, NEVER),
        level=70 + draws.below("level", numbers, 81),
        slots=np.repeat(numbers, activity),
    )


def _people(numbers: np.ndarray, country: np.ndarray, draws: Draws) -> list[Person]:
    found: dict[int, Person] = {}
    for place, land in enumerate(COUNTRIES):
        own = numbers[country == place]
        found |= zip(own.tolist(), _compatriots(own, land, draws), strict=True)
    return [found[number] for number in numbers.tolist()]


def _compatriots(numbers: np.ndarray, land: Country, draws: Draws) -> list[Person]:
    """The customers of one country; their numbers in it make telephone and account numbers unique."""
    names = NAMES[land.code]
    given = draws.below("given", numbers, len(names.given)).tolist()
    family = draws.below("family", numbers, len(names.family)).tolist()
    domain = draws.below("domain", numbers, len(_DOMAINS)).tolist()
    born = draws.below("born", numbers, 60 * 365).tolist()
    ibans = _ibans(len(numbers), land, draws)
    phones = _twice(_phones(len(numbers) * HOMES_EACH, land, draws))
    cards = _twice(_cards(numbers, draws))
    homes = _twice(_addresses(numbers, land, draws))
    people: list[Person] = []
    for n, number in enumerate(numbers.tolist()):
        mailbox = f"{names.given[given[n]][1]}.{names.family[family[n]][1]}.{number}@{_DOMAINS[domain[n]]}"
        people.append(
            Person(
                id=f"c{number:07d}",
                name=names.whole(given[n], family[n]),
                script=names.script,
                birth_date=date(1945, 1, 1) + timedelta(days=born[n]),
                email=email_spellings(mailbox),
                phones=phones[n],
                cards=cards[n],
                iban=ibans[n],
                addresses=homes[n],
            )
        )
    return people


def _phones(count: int, land: Country, draws: Draws) -> list[tuple[str, ...]]:
    plan = land.phones
    shift = int(draws.below(f"phone {land.code}", np.zeros(1), 10**6)[0])
    ranks = np.arange(count)
    start = (ranks % len(plan.starts)).tolist()
    free = scattered(ranks // len(plan.starts), digits=plan.free, shift=shift).tolist()
    return [
        phone_spellings(f"{plan.starts[s]}{number:0{plan.free}d}", phones=plan)
        for s, number in zip(start, free, strict=True)
    ]


def _cards(numbers: np.ndarray, draws: Draws) -> list[tuple[str, ...]]:
    ranks = np.repeat(numbers, CARDS_EACH) * CARDS_EACH + np.tile(np.arange(CARDS_EACH), len(numbers))
    networks = draws.below("network", ranks, len(CARDS)).tolist()
    shift = int(draws.below("card", np.zeros(1), 10**6)[0])
    accounts = scattered(ranks, digits=7, shift=shift).tolist()
    return [card_spellings(card_number(*each)) for each in zip(networks, accounts, strict=True)]


def _ibans(count: int, land: Country, draws: Draws) -> list[str | None]:
    if land.bank is None:
        return [None] * count
    shift = int(draws.below(f"iban {land.code}", np.zeros(1), 10**6)[0])
    accounts = scattered(np.arange(count), digits=8, shift=shift).tolist()
    return [iban(land.code, f"{land.bank}{account:0{land.account_digits}d}") for account in accounts]


def _addresses(numbers: np.ndarray, land: Country, draws: Draws) -> list[Address]:
    ranks = np.repeat(numbers, HOMES_EACH) * HOMES_EACH + np.tile(np.arange(HOMES_EACH), len(numbers))
    chosen = zip(
        draws.below("city", ranks, len(land.cities)).tolist(),
        draws.below("street", ranks, len(land.streets)).tolist(),
        (1 + draws.below("house", ranks, 240)).tolist(),
        draws.below("postcode", ranks, 100).tolist(),
        draws.below("latitude", ranks, 900).tolist(),
        draws.below("longitude", ranks, 900).tolist(),
        strict=True,
    )
    return [
        Address(
            land.line(land.streets[street], house), land.cities[city].name, land.postcode(land.cities[city].postcode, code),
            land.code, land.cities[city].latitude + north, land.cities[city].longitude + east,
        )
        for city, street, house, code, north, east in chosen
    ]  # fmt: skip


def _twice(things: list[Thing]) -> list[tuple[Thing, Thing]]:
    return list(zip(things[::2], things[1::2], strict=True))


def text(value: object) -> str:
    """A value as JSON in its own script."""
    return json.dumps(value, ensure_ascii=False)
