"""The topics of the payments pipeline: who writes their records, and which of them are spoiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headrace.feed.payments.draw import Draws
from headrace.feed.payments.faults import AUTHORIZATION_FAULTS, CUSTOMER_FAULTS, DEVICE_FAULTS, OUTCOME_FAULTS, Fault
from headrace.feed.payments.frame import Frame, index
from headrace.feed.payments.kinds import MOVED, ONCE
from headrace.feed.payments.written import Writer

CUSTOMERS, DEVICES, OUTCOMES, AUTHORIZATIONS = PAYMENT_TOPICS = (
    "payments.customers", "payments.devices", "payments.outcomes", "payments.authorizations",
)  # fmt: skip
"""In the order in which records of one instant are sent: requests last."""


@dataclass(frozen=True)
class Topic:
    """A topic. ``identifies``: which identifiers a record holds; ``spoiled``: the share of records with a planted fault."""

    name: str
    letter: str
    write: Callable[[Writer, Frame], list[bytes]]
    ids: Callable[[Writer, Frame], list[str]]
    identifies: tuple[str, ...]
    faults: tuple[Fault, ...]
    spoiled: float

    def faults_of(self, rows: Frame, draws: Draws) -> np.ndarray:
        """The kind of each row's fault, a position in ``faults``; -1 for the right ones, which all copies are."""
        i = index(rows["day"], rows["number"])
        kinds = draws.below(f"fault of {self.letter}", i, len(self.faults))
        hit = draws.share(f"spoiled {self.letter}", i) < self.spoiled
        if self.name == AUTHORIZATIONS:
            hit &= ~rows["twice"]
        if self.name == CUSTOMERS:  # few records: every kind in turn
            hit, kinds = rows["number"] % 16 == 5, rows["number"] // 16 % len(self.faults)
        return np.where(hit, kinds, -1)

    def record_ids(self, rows: Frame) -> list[str]:
        """A name for each record of the simulation; a second one about the same thing ends in ``-2``."""
        numbers = zip(rows["day"].tolist(), rows["number"].tolist(), second(rows).tolist(), strict=True)
        return [f"{self.letter}{day:03d}-{number:07d}{'-2' if twice else ''}" for day, number, twice in numbers]


def second(rows: Frame) -> np.ndarray:
    """Whether a record is the second one: a copy, a correction, or a customer's move."""
    if "copy" in rows:
        return rows["copy"] != ONCE
    if "correction" in rows:
        return rows["correction"] == 1
    return rows["kind"] == MOVED if "device" not in rows else np.zeros(len(rows["day"]), dtype=bool)


TOPICS = (
    Topic(CUSTOMERS, "c", Writer.customer_events, Writer.customer_ids, ("email", "phone"), CUSTOMER_FAULTS, 0.0),
    Topic(DEVICES, "d", Writer.device_events, Writer.event_ids, ("email",), DEVICE_FAULTS, 0.01),
    Topic(OUTCOMES, "o", Writer.outcomes, Writer.payment_ids, ("card",), OUTCOME_FAULTS, 0.01),
    Topic(
        AUTHORIZATIONS, "a", Writer.authorizations, Writer.payment_ids, ("email", "phone", "card"), AUTHORIZATION_FAULTS, 0.015
    ),
)  # fmt: skip
