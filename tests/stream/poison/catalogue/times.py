"""Times that no calendar has, that say no zone, and that lie at the ends of what a table can hold."""

# ruff: noqa: E501

from __future__ import annotations

from datetime import UTC, date, datetime

from catalogue.poison import CANARY, Poison, flat, kept, kept_beside, refused, refused_beside


def at(text: str) -> str:
    return f'{{"id":"a","at":{text},"owner":"{CANARY}"}}'


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


RECORDS: list[Poison] = flat(
    kept(at('"2013-01-01T00:00:00Z"')),
    kept(at('"2013-01-01 00:00:00.5+0530"'), at=utc(2012, 12, 31, 18, 30, 0, 500_000)),
    kept(at('"2013-01-01T05:30:00.1234567+05:30"'), at=utc(2013, 1, 1, 0, 0, 0, 123_456)),
    kept(at('"2012-02-29T23:59:59.999999999Z"'), at=utc(2012, 2, 29, 23, 59, 59, 999_999)),
    kept(at('"2013-01-01T00:00:00-00:00"')),
    kept(at('"2013-01-01T18:00:00+18:00"')),
    kept(at('"1969-12-31T23:59:59.999999Z"'), at=utc(1969, 12, 31, 23, 59, 59, 999_999)),
    kept(at('"1900-01-01T00:00:00Z"'), at=utc(1900, 1, 1)),
    # before the Gregorian calendar and before the first zones: the calendar is extended backwards (ISO 8601)
    kept(at('"1582-10-10T00:00:00Z"'), at=utc(1582, 10, 10)),
    kept(at('"1500-02-28T00:00:00Z"'), at=utc(1500, 2, 28)),
    # the ends of what four digits say
    kept(at('"0001-01-01T00:00:00Z"'), at=utc(1, 1, 1)),
    kept(at('"9999-12-31T23:59:59.999999Z"'), at=utc(9999, 12, 31, 23, 59, 59, 999_999)),
    refused("decode:type:at", at('"9999-12-31T23:59:59.999999999-01:00"'), at('"9999-12-31T23:00:00-18:00"'), at('"0001-01-01T00:00:00+00:01"')),
    # a leap second, the hour 24, and hours that daylight saving leaves out or has twice: with an offset they are plain instants
    refused("decode:type:at", at('"2016-12-31T23:59:60Z"'), at('"2013-01-01T00:00:60Z"'), at('"2013-01-01T24:00:00Z"'), at('"2013-01-01T25:00:00Z"')),
    kept(at('"2013-03-31T02:30:00+01:00"'), at=utc(2013, 3, 31, 1, 30)),
    kept(at('"2013-03-10T02:30:00-05:00"'), at=utc(2013, 3, 10, 7, 30)),
    kept(at('"2013-10-27T02:30:00+02:00"'), at=utc(2013, 10, 27, 0, 30)),
    kept(at('"2013-10-27T02:30:00+01:00"'), at=utc(2013, 10, 27, 1, 30)),
    # no such day or time
    refused("decode:type:at", *(at(f'"{text}"') for text in
            ("2013-13-01T00:00:00Z", "2013-00-01T00:00:00Z", "2013-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2013-04-31T00:00:00Z", "2013-01-00T00:00:00Z",
             "2013-01-32T00:00:00Z", "2013-01-01T23:60:00Z", "10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "+2013-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
             "0000-01-01T00:00:00Z", "292278994-08-17T07:12:55Z"))),
    # no offset, or one that is none
    refused("decode:type:at", *(at(f'"{text}"') for text in
            ("2013-01-01T00:00:00", "2013-01-01", "2013-01-01T00:00Z", "2013-01-01T00:00:00+19:00", "2013-01-01T00:00:00+00:60", "2013-01-01T00:00:00+1",
             "2013-01-01T00:00:00+05", "2013-01-01T00:00:00 UTC", "2013-01-01T00:00:00 Europe/Berlin", "2013-01-01T00:00:00Z[UTC]", "2013-01-01T00:00:00z",
             "2013-01-01T00:00:00.Z", "2013-01-01T00:00:00,5Z", "2013-01-01T00:00:00.1234567891Z"))),
    # other spellings
    refused("decode:type:at", *(at(f'"{text}"') for text in
            ("", "now", "today", "epoch", " 2013-01-01T00:00:00Z", "2013-01-01T00:00:00Z ", "2013-01-01T00:00:00Z\\n", "2013-01-01T00:00:00Z\\u0000", "13-01-01T00:00:00Z",
             "01/02/2013 00:00:00Z", "20130101T000000Z", "2013-W01-2T00:00:00Z", "2013-001T00:00:00Z", "2013-1-1T00:00:00Z", "2013-01-01t00:00:00Z", "2013-01-01  00:00:00Z",
             "٢٠١٣-01-01T00:00:00Z", "２０１３-01-01T00:00:00Z", "2013\u201001\u201001T00:00:00Z", "/Date(1356998400000)/", "Tue, 01 Jan 2013 00:00:00 GMT"))),
    refused("decode:type:at", *(at(text) for text in ("1356998400", "1356998400000", "1356998400.5", "true", "{}", "[]", '{"$date":"2013-01-01T00:00:00Z"}'))),
    refused("decode:missing:at", at("null")),
    # dates
    kept_beside('"day":"2012-02-29"', day=date(2012, 2, 29)),
    kept_beside('"day":"0001-01-01"', day=date(1, 1, 1)),
    kept_beside('"day":"9999-12-31"', day=date(9999, 12, 31)),
    kept_beside('"day":"1582-10-10"', day=date(1582, 10, 10)),
    refused_beside("decode:type:day", *(f'"day":{text}' for text in
                   ('"2013-02-29"', '"2013-1-1"', '"2013-13-01"', '"0000-01-01"', '"10000-01-01"', "20130101", '"20130101"', '"2013-01-01T00:00:00Z"', '"01.02.2013"', '"today"', '""',
                    '" 2013-01-01"', '"2013-01-01\\n"', "15706", "{}", "[]", "true"))),
)  # fmt: skip
