"""Structs and arrays: one part that does not fit makes the whole field unfit."""

# ruff: noqa: E501

from __future__ import annotations

from datetime import UTC, date, datetime

from catalogue.poison import Poison, kept_beside, refused_beside, strict

MIDNIGHT = datetime(2013, 1, 1, tzinfo=UTC)


def address(zip_: int, **parts: object) -> dict[str, object]:
    return {"city": None, "zip": zip_, "seen": None, "lat": None, **parts}


RECORDS: list[Poison] = strict(
    kept_beside('"address":null'),
    kept_beside('"address":{"zip":1}', address=address(1)),
    kept_beside('"address":{"zip":1,"city":"[x]","seen":"2013-01-01T00:00:00Z","lat":1}', address=address(1, city="[x]", seen=MIDNIGHT, lat=1.0)),
    kept_beside('"address":{"zip":1,"zip":2}', address=address(2)),
    kept_beside('"address":{"zip":1,"city":" <b>\\u0000\\u202e "}', address=address(1, city=" <b>\x00\u202e ")),  # trimmed is what is no part
    kept_beside('"tags":[]', tags=[]),
    kept_beside('"tags":["a",null,"[b]",1,true,-1.50,"=1+1"]', tags=["a", None, "[b]", "1", "true", "-1.5", "=1+1"]),
    kept_beside('"codes":[]', codes=[]),
    kept_beside('"codes":[1,-0,2147483647]', codes=[1, 0, 2147483647]),
    kept_beside('"items":[{"sku":"a","qty":1},null,{}]', items=[{"sku": "a", "qty": 1}, None, {"sku": None, "qty": None}]),
    kept_beside('"days":["2013-01-01",null]', days=[date(2013, 1, 1), None]),
    kept_beside(f'"codes":[{",".join("7" * 50_000)}]', codes=[7] * 50_000),
    refused_beside("decode:missing:address", '"address":{}', '"address":{"city":"x"}', '"address":{"zip":null}'),
    refused_beside("decode:type:address", '"address":[]', '"address":[{"zip":1}]', '"address":"x"', '"address":1', '"address":"{\\"zip\\":1}"'),
    refused_beside("decode:type:address", *(f'"address":{{"zip":{zip_}}}' for zip_ in ('"1"', "1.5", "1e0", "2147483648", "true", "[]"))),
    refused_beside("decode:type:address", *(f'"address":{{"zip":1,"seen":{seen}}}' for seen in
                   ('"2013"', '"2013-01-01T00:00:00"', '"x"', "12", "{}", '"2013-01-01T24:00:00Z"', '"10000-01-01T00:00:00Z"', '"9999-12-31T23:59:59-01:00"'))),
    refused_beside("decode:type:address", *(f'"address":{{"zip":1,{part}}}' for part in
                   ('"lat":1e999', '"lat":"NaN"', '"city":{"a":1}', '"city":[1]', '"city":{"a":1,"a":2}', '"city":1e999'))),
    refused_beside("decode:type:tags", '"tags":"a"', '"tags":{}', '"tags":[{"a":1}]', '"tags":["x",["a"]]', '"tags":[1e999]'),
    refused_beside("decode:type:codes", '"codes":[1,"x"]', '"codes":["1"]', '"codes":[1.5]', '"codes":1', '"codes":[[1]]', '"codes":[2147483648]'),
    refused_beside("decode:missing:codes", '"codes":[1,null]', '"codes":[null]'),
    refused_beside("decode:type:items", '"items":[{"sku":"a","qty":"x"}]', '"items":[1]', '"items":{"sku":"a"}', '"items":[{"sku":{"a":1}}]'),
    refused_beside("decode:type:days", '"days":["2013-01-01","2013-1-1"]', '"days":[20130101]', '"days":["2013-02-30"]'),
    refused_beside("decode:trailing_data", '"address":{"zip":1}}{"x":{"y":1}', '"address":{"zip":1}}'),
    refused_beside("decode:malformed", '"address":{"zip":1', '"tags":["a"', '"tags":["a"}'),
    refused_beside(("decode:type:tags", "decode:type:codes"), '"tags":"a","codes":["x"]'),
    refused_beside("decode:type:address", '"address":{"zip":"1"},"codes":[1,null]'),  # what is missing is looked for where all fits
)  # fmt: skip
