"""Fields that stand there twice: of a repeated field the last counts, or the record goes where the stream is strict."""

from __future__ import annotations

from catalogue.poison import Poison, flat, kept_beside, refused_beside, strict

RECORDS: list[Poison] = flat(
    kept_beside('"n":1,"n":2', n=2),
    kept_beside('"id":"b"', id="b"),
    kept_beside('"n":1,"n":null'),
    kept_beside('"n":1,"\\u006e":2', n=2),
    kept_beside('"zz":1,"zz":2,"zz":{}'),
    kept_beside('"zz":{"a":1,"a":2}'),
    refused_beside("decode:missing:id", '"id":null', '"id":""'),
    # a value that does not count must fit all the same
    refused_beside("decode:type", '"n":"x","n":2', '"n":2,"n":"x"', '"n":2147483648,"n":1'),
    refused_beside("decode:type:id", '"id":{"b":2}', '"id":{"a":1},"n":1,"n":1'),
    strict(refused_beside("decode:repeated_field", '"id":"b"', '"n":1,"n":1', '"n":1,"\\u006e":2', '"id":"a"')),
    strict(refused_beside(("decode:unknown:zz", "decode:repeated_field"), '"zz":1,"zz":2')),
)  # fmt: skip
