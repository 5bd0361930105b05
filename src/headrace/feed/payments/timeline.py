"""The simulated payments of a range of days, as a source for ``headrace feed``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from headrace.errors import HeadraceError
from headrace.feed.payments.customers import MOST, Customers, make_customers
from headrace.feed.payments.draw import Draws
from headrace.feed.payments.faults import spoiled
from headrace.feed.payments.frame import Frame, stacked, taken
from headrace.feed.payments.fraud import fraudulent_payments
from headrace.feed.payments.gateway import requests_of
from headrace.feed.payments.habits import PER_DAY, honest_payments
from headrace.feed.payments.logins import PER_DAY as LOGINS_PER_DAY
from headrace.feed.payments.logins import device_events
from headrace.feed.payments.outcomes import LATEST_DAYS, outcomes_of
from headrace.feed.payments.registrations import customer_events
from headrace.feed.payments.schedule import DAY_MS, DAYS, EPOCH_MS, FIRST_DAY, day_of, regime_of
from headrace.feed.payments.topics import (
    AUTHORIZATIONS,
    CUSTOMERS,
    DEVICES,
    OUTCOMES,
    PAYMENT_TOPICS,
    TOPICS,
    Topic,
    second,
)
from headrace.feed.payments.truth import Truth
from headrace.feed.payments.written import Writer
from headrace.feed.produce import Produced
from headrace.feed.record import Record

_SLICE = 20_000
"""Records that are written at a time."""


@dataclass(frozen=True)
class Simulation:
    """Which simulation, and which of its days (UTC, both included)."""

    start: date
    end: date
    customers: int = 2_000
    seed: int = 7

    def __post_init__(self) -> None:
        last = FIRST_DAY + timedelta(days=DAYS - 1)
        if not FIRST_DAY <= self.start <= self.end <= last:
            raise HeadraceError(
                f"the simulation has no days from {self.start} to {self.end}: choose from {FIRST_DAY} to {last}, the first "
                "one first"
            )
        if not 1 <= self.customers <= MOST:
            raise HeadraceError(f"{self.customers} customers can't be simulated: choose from 1 to {MOST:,}")


class Payments:
    """The records that are sent on the simulation's days. Days that follow each other give what both together give."""

    topics = PAYMENT_TOPICS
    held_back = frozenset({AUTHORIZATIONS})

    def __init__(self, simulation: Simulation, *, truth: Path | None) -> None:
        """``truth``: the folder that the truth is written to."""
        self._simulation, self._draws = simulation, Draws(simulation.seed)
        self._folder, self._truth = truth, None

    @property
    def begins(self) -> datetime:
        return datetime.combine(self._simulation.start, time(), tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        return datetime.combine(self._simulation.end + timedelta(days=1), time(), tzinfo=UTC)

    @property
    def size(self) -> int:
        """About how many records there are."""
        days = (self._simulation.end - self._simulation.start).days + 1
        return int(self._simulation.customers * (1 + days * (2 * PER_DAY + 1.2 * LOGINS_PER_DAY)))

    def records(self) -> Iterator[Record]:
        """All records in the order of sending; of one instant customers, devices, outcomes, then authorizations."""
        simulation = self._simulation
        customers = make_customers(simulation.customers, self._draws)
        if self._folder is not None:
            self._truth = Truth(
                self._folder, customers=customers, seed=simulation.seed, start=simulation.start, end=simulation.end
            )
        writer = Writer(customers, self._draws)
        for frames in self._days(customers):
            for part in _slices(frames):
                records = [record for topic in TOPICS for record in self._written(topic, part[topic.name], writer)]
                records.sort(key=lambda record: record.sent_at)  # stable: topics of one instant stay in order
                yield from records

    def sent(self, produced: Produced) -> None:
        """Finish the truth: it tells of what was sent, and of nothing else."""
        if self._truth is not None:
            self._truth.close(until=None if produced.complete else produced.last or self.begins)

    def _days(self, customers: Customers) -> Iterator[dict[str, Frame]]:
        """What is sent on each day, by topic. Some of it goes back to payments of a fortnight before."""
        first, last = day_of(self._simulation.start), day_of(self._simulation.end)
        waiting: dict[str, list[Frame]] = {name: [] for name in PAYMENT_TOPICS}
        for day in range(max(0, first - LATEST_DAYS), last + 1):
            for name, made in _begun(day, customers, self._draws).items():
                waiting[name].append(made)
            after = EPOCH_MS + (day + 1) * DAY_MS
            due: dict[str, Frame] = {}
            for name, frames in waiting.items():
                every = stacked(frames)
                due[name] = taken(every, every["sent"] < after)
                waiting[name] = [taken(every, every["sent"] >= after)]
            if day >= first:
                yield {name: _in_order(frame) for name, frame in due.items()}

    def _written(self, topic: Topic, rows: Frame, writer: Writer) -> Iterator[Record]:
        kinds = topic.faults_of(rows, self._draws)
        values = spoiled(topic.write(writer, rows), topic.faults, kinds.tolist())
        records, keys = topic.record_ids(rows), writer.customer_ids(rows)
        if self._truth is not None:
            self._truth.add(topic, rows, records=records, ids=topic.ids(writer, rows), faults=kinds)
        for key, value, sent, record in zip(keys, values, rows["sent"].tolist(), records, strict=True):
            yield Record(topic.name, key.encode(), value, sent, [("source", b"simulated"), ("record", record.encode())])


def _begun(day: int, customers: Customers, draws: Draws) -> dict[str, Frame]:
    """Everything that follows from what begins on a day, by topic."""
    regime = regime_of(day)
    honest = honest_payments(day, customers=customers, draws=draws, regime=regime)
    fraud, takeovers = fraudulent_payments(day, customers=customers, draws=draws, regime=regime)
    payments = stacked([honest, fraud])
    made = {
        CUSTOMERS: customer_events(day, customers=customers),
        DEVICES: device_events(day, customers=customers, draws=draws, takeovers=takeovers),
        OUTCOMES: outcomes_of(payments, draws=draws),
        AUTHORIZATIONS: requests_of(payments, draws=draws),
    }
    return {name: frame if "sent" in frame else {**frame, "sent": frame["at"]} for name, frame in made.items()}


def _in_order(rows: Frame) -> Frame:
    return taken(rows, np.lexsort((second(rows), rows["number"], rows["day"], rows["sent"])))


def _slices(frames: dict[str, Frame]) -> Iterator[dict[str, Frame]]:
    """Cut the frames at the same instants, about ``_SLICE`` records apart."""
    instants = np.sort(np.concatenate([frame["sent"] for frame in frames.values()]))
    cuts = [*np.unique(instants[_SLICE::_SLICE]).tolist(), np.iinfo(np.int64).max]
    done = dict.fromkeys(frames, 0)
    for cut in cuts:
        upto = {name: int(np.searchsorted(frame["sent"], cut)) for name, frame in frames.items()}
        yield {name: taken(frame, np.arange(done[name], upto[name])) for name, frame in frames.items()}
        done = upto
