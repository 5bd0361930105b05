"""Documents that are large, deep, or wide."""

from __future__ import annotations

from catalogue.poison import CANARY, GOOD, Poison, flat, kept, kept_beside, refused, refused_beside

LIMIT = 1_048_576
"""The streams' ``max_record_bytes``, as it is where nobody says otherwise."""


def padded(size: int) -> str:
    """A good record of exactly so many bytes."""
    frame = f'{{{GOOD},"zz":""}}'
    return f'{{{GOOD},"zz":"{"y" * (size - len(frame))}"}}'


def long_id(text: str) -> str:
    return f'{{"id":"{text}","at":"2013-01-01T00:00:00Z","owner":"{CANARY}"}}'


RECORDS: list[Poison] = flat(
    kept(padded(LIMIT)),
    refused("decode:too_large", padded(LIMIT + 1), padded(5_000_000), b"\xff" * (LIMIT + 1), "[" * 2_000_000, " " * (LIMIT + 1)),
    kept(long_id("x" * 900_000), id="x" * 900_000),
    kept(long_id("\U0001f600" * 200_000), id="\U0001f600" * 200_000),
    kept(long_id("\\u0041" * 150_000), id="A" * 150_000),
    # 1,000 levels are the limit, in what the schema knows and in what it does not
    kept_beside(f'"zz":{"[" * 400}{"]" * 400}'),
    kept_beside(f'"zz":{"[" * 999}{"]" * 999}'),
    refused_beside("decode:malformed", f'"zz":{"[" * 1000}{"]" * 1000}', f'"zz":{"[" * 1200}{"]" * 1200}', f'"zz":{"[" * 300_000}'),
    refused_beside("decode:malformed", f'"zz":{"[" * 300_000}{"]" * 300_000}', '"zz":' + '{"a":' * 100_000 + "1" + "}" * 100_000),
    refused("decode:malformed", b"{" * 2000 + b"}" * 2000, '{"a":' * 100_000),
    refused(("decode:missing:id", "decode:missing:at"), '{"a":' * 400 + "1" + "}" * 400),
    refused_beside("decode:type:n", f'"n":{"[" * 400}{"]" * 400}'),
    # many of something
    kept_beside(",".join(f'"f{n}":{n}' for n in range(20_000))),
    kept_beside(f'"zz":[{",".join("1" * 100_000)}]'),
    kept_beside('"":0' + ',"":0' * 50_000),
    kept(f"{' ' * 500_000}{{{GOOD}}}{' ' * 500_000}"),
    # names of more than 50,000 characters are beyond the parser
    kept_beside(f'"{"k" * 50_000}":1'),
    refused_beside("decode:malformed", f'"{"k" * 60_000}":1'),
)  # fmt: skip
