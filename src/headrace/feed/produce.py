"""Records into Kafka, in order, each one's delivery checked."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace.errors import BrokerError
from headrace.feed.record import Record, instant
from headrace.feed.topics import client_settings, reason, refused_options

WINDOW_MS = 6 * 3_600_000
"""Event time that is sent between two waits for Kafka's acknowledgement, at full speed."""

_CROWD = 2_000  # a paced feed that lags behind waits for Kafka after this many records, not after each instant

_PREFERRED = {
    "linger.ms": "20",
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "delivery.timeout.ms": "60000",
}
_REQUIRED = {"enable.idempotence": "true", "acks": "all"}


@dataclass(frozen=True)
class Produced:
    """What Kafka acknowledged: records per topic, and the event times of the first and last of them.

    ``complete`` is False if the feed was stopped: then everything up to ``last`` was sent, and nothing after it.
    """

    counts: Mapping[str, int]
    first: datetime | None
    last: datetime | None
    seconds: float
    complete: bool

    @property
    def records(self) -> int:
        return sum(self.counts.values())


def produce(
    records: Iterable[Record],
    *,
    size: int,
    bootstrap: str,
    held_back: frozenset[str] = frozenset(),
    speed: float = 0.0,
    rate: float = 0.0,
    kafka_options: Mapping[str, str] | None = None,
    progress: Callable[[int, int, datetime], None] | None = None,
    stop: threading.Event | None = None,
) -> Produced:
    """Send ``records``, which come in the order of ``sent_at``, and say what Kafka acknowledged.

    A record of a topic in ``held_back`` is sent once all records of other topics up to its instant are acknowledged.
    ``speed``: N is N times real time; ``rate``: so many records a second; without both as fast as it goes.
    ``progress`` gets (acknowledged, ``size``, event time); ``size`` may be a guess until the end.
    ``stop`` or Ctrl-C ends it between two windows. Raises BrokerError if a record can't be delivered.
    """
    began = time.monotonic()
    sender = Sender(bootstrap, kafka_options=kafka_options or {})
    first = last = None
    source = _Counted(records)
    with _until_interrupted(stop or threading.Event()) as halt:
        paced = in_pace(source, speed=speed, rate=rate, halt=halt) if speed or rate else in_windows(source)
        for window in paced:
            if halt.is_set():
                source.ended = False
                break
            sender.send([record for record in window if record.topic not in held_back])
            waiting = [record for record in window if record.topic in held_back]
            if waiting or speed or rate:
                sender.settle()
            sender.send(waiting)
            first, last = first or instant(window[0].sent_at), instant(window[-1].sent_at)
            if progress:
                progress(sender.acknowledged.total(), size, last)
        sender.settle()
    counts = dict(sender.acknowledged)
    if progress and last:
        progress(sum(counts.values()), sum(counts.values()) if source.ended else size, last)
    return Produced(counts, first, last, time.monotonic() - began, complete=source.ended)


class _Counted:
    """Records that remember whether all of them were taken."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records, self.ended = records, False

    def __iter__(self) -> Iterator[Record]:
        yield from self._records
        self.ended = True


class Sender:
    """An idempotent producer that counts what Kafka acknowledged and fails as soon as a record is lost."""

    def __init__(self, bootstrap: str, *, kafka_options: Mapping[str, str]) -> None:
        self.acknowledged: Counter[str] = Counter()
        self._bootstrap = bootstrap
        self._lost: tuple[str, str] | None = None
        settings: dict[str, Any] = {**_PREFERRED, **client_settings(bootstrap, kafka_options), **_REQUIRED}
        try:
            self._producer = Producer(settings)
        except KafkaException as error:
            raise refused_options(error) from error

    def send(self, records: Sequence[Record]) -> None:
        """Queue the records, waiting where the queue is full. Raises BrokerError if an earlier one was lost."""
        for record in records:
            while not self._queued(record):
                self._producer.poll(0.1)
                self._check()
        self._producer.poll(0)
        self._check()

    def settle(self) -> None:
        """Wait until Kafka has acknowledged every queued record. Raises BrokerError if one was lost."""
        while self._producer.flush(1.0):
            self._check()
        self._check()

    def _queued(self, record: Record) -> bool:
        topic, key, value, sent_at, headers = record
        try:
            self._producer.produce(topic, value, key, timestamp=sent_at, headers=headers, on_delivery=self._delivered)
        except BufferError:
            return False
        except KafkaException as error:
            self._lost = self._lost or (topic, reason(error))
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        topic = message.topic() or ""
        if error is None:
            self.acknowledged[topic] += 1
        else:
            self._lost = self._lost or (topic, reason(error))

    def _check(self) -> None:
        if self._lost is None:
            return
        topic, why = self._lost
        self._producer.purge()
        raise BrokerError(
            f"Kafka at {self._bootstrap} did not take a record of {topic} ({why}) after {self.acknowledged.total()} "
            "that it did take: see that the broker runs, then feed these days into new topics."
        )


def in_windows(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Full speed: lists of ``WINDOW_MS`` of event time each."""
    window: list[Record] = []
    current = -1
    for record in records:
        number = record.sent_at // WINDOW_MS
        if number != current and window:
            yield window
            window = []
        current = number
        window.append(record)
    if window:
        yield window


def in_pace(
    records: Iterable[Record], *, speed: float = 0.0, rate: float = 0.0, halt: threading.Event
) -> Iterator[list[Record]]:
    """``speed`` times real time, or ``rate`` records a second: lists of the records that are due; waits in between.

    All records of an instant are in one list.
    """
    window: list[Record] = []
    began = time.monotonic()
    origin: int | None = None
    for taken, record in enumerate(records):
        origin = record.sent_at if origin is None else origin
        due = began + (taken / rate if rate else (record.sent_at - origin) / 1000 / speed)
        if window and record.sent_at > window[-1].sent_at and (due > time.monotonic() or len(window) >= _CROWD):
            yield window
            window = []
        if due > time.monotonic() and halt.wait(due - time.monotonic()):
            return
        window.append(record)
    if window:
        yield window


@contextmanager
def _until_interrupted(halt: threading.Event) -> Generator[threading.Event]:
    """Ctrl-C sets ``halt``, a second one interrupts as usual; in another than the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield halt
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupted(_number: int, _frame: object) -> None:
        halt.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield halt
    finally:
        signal.signal(signal.SIGINT, before)
