"""A seeded generator of hostile records: good ones, changed one to four times, in their structure, their text or their bytes.

The same seed gives the same records. Only the standard library's ``random`` is used, so that a record can be made again from
its seed and number anywhere.
"""

# ruff: noqa: E501

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

from catalogue.poison import Poison
from good import SHAPES, TEXTS, Shape, array, day, double, text, time

SEED = int(os.environ.get("HEADRACE_FUZZ_SEED") or random.randrange(10**9))
COUNT = int(os.environ.get("HEADRACE_FUZZ_RECORDS") or 10_000)
Fields = list[tuple[str, str]]
"""Field names and JSON texts, in order; names may repeat, texts need not be JSON."""

NUMBERS = [
    "0", "-0", "1", "-1", "0.1", "-0.0", "1.0", "1e2", "1E-2", "12.345", "2147483647", "2147483648", "-2147483648", "-2147483649", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "12345678901234567890123456789012345678",
    "99999999.99", "100000000", "1e308", "1e309", "-1e999", "1e-999", "5e-324", "0.30000000000000004", "9" * 400, "NaN", "Infinity", "-Infinity", "007", "+1",
    "1.", ".5", "1_000", "0x10", "--1", "1e", "9" * 1200,
]  # fmt: skip
TIMES = [
    "2013-01-01T00:00:00Z", "2013-01-01 23:59:59.999999999+0530", "2012-02-29T12:00:00-08:00", "2013-02-29T00:00:00Z", "2013-01-01T24:00:00Z", "2016-12-31T23:59:60Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-01:00", "10000-01-01T00:00:00Z", "2013-01-01T00:00:00",
    "2013-03-31T02:30:00+01:00", "2013-01-01", "2012-02-29", "1582-10-10", "2013-13-01", "2013-1-1", "now", "2013-01-01T00:00:00+18:00", "2013-01-01T00:00:00+18:01",
]  # fmt: skip
TOKENS = [
    b"", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"0", b"9", b"-", b".", b"e", b" ", b"\n", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"\xc2\xa0", b"null", b"true", b"NaN", b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b'"id":', b'"n":1,', b"//", b"/*", b"'", b"{}", b"[]", b'\\"', b"\xf0\x9f\x98\x80",
]  # fmt: skip
KEYS = [b"k", b"k", b"k", None, b"", b"\xff\x00", b"\x00", "\u202e".encode(), b"x" * 3_000]


def fuzzed(seed: int, count: int) -> Iterator[Poison]:
    """So many records, half of them for each stream. Nothing is said of their verdict."""
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        shape = SHAPES["plain" if number % 2 == 0 else "strict"]
        value = _value(chance, shape)
        headers = (("h", chance.randbytes(3)), ("", None)) if chance.random() < 0.1 else ()
        yield Poison(value, stream=shape.stream, key=chance.choice(KEYS), headers=headers)


def _value(chance: random.Random, shape: Shape) -> bytes | None:
    if chance.random() < 0.01:
        return chance.choice([None, b"", b" \n", chance.randbytes(chance.randint(1, 40))])
    fields = _good(chance, shape)
    for _ in range(chance.choice([0, 0, 1, 1, 1, 2, 3])):
        chance.choice(_STRUCTURE)(chance, fields, shape)
    data = _written(chance, fields)
    for _ in range(chance.choice([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3])):
        data = chance.choice(_BYTES)(chance, data)
    return data


def _good(chance: random.Random, shape: Shape) -> Fields:
    optional = [name for name in shape.makers if name not in ("id", "at")]
    chosen = ["id", "at", *chance.sample(optional, chance.randint(0, len(optional)))]
    return [(json.dumps(name), shape.makers[name](chance)) for name in chosen]


def _written(chance: random.Random, fields: Fields) -> bytes:
    space = chance.choice(["", "", "", " ", "\n\t", "  \r\n"])
    parts = (f"{name}{space}:{space}{value}" for name, value in fields)
    whole = f"{space}{{{space}{f'{space},{space}'.join(parts)}{space}}}{space}"
    return whole.encode("utf-8", "surrogatepass")


def _swap_type(chance: random.Random, fields: Fields, shape: Shape) -> None:
    _replace(
        chance,
        fields,
        chance.choice([text, double, time, day, array(text), lambda _: "null", lambda _: "{}", lambda _: "true"])(
            chance
        ),
    )


def _number(chance: random.Random, fields: Fields, shape: Shape) -> None:
    number = chance.choice(NUMBERS)
    _replace(chance, fields, number if chance.random() < 0.8 else f'"{number}"')


def _time(chance: random.Random, fields: Fields, shape: Shape) -> None:
    _replace(chance, fields, f'"{chance.choice(TIMES)}"')


def _unicode(chance: random.Random, fields: Fields, shape: Shape) -> None:
    letters = "".join(
        chr(
            chance.choice(
                [chance.randrange(0x20), chance.randrange(0x3000), chance.randrange(0xD7FF), 0x1F600, 0x10FFFF]
            )
        )
        for _ in range(5)
    )
    _replace(chance, fields, json.dumps(letters, ensure_ascii=chance.random() < 0.7))


def _escape(chance: random.Random, fields: Fields, shape: Shape) -> None:
    at = chance.randrange(len(fields))
    name = "".join(
        f"\\u{ord(letter):04x}" if chance.random() < 0.5 else letter
        for letter in json.loads(fields[at][0])
        if ord(letter) < 0xD800 and letter not in '"\\'
    )
    fields[at] = (f'"{name}"' if name.isprintable() else fields[at][0], fields[at][1])


def _nest(chance: random.Random, fields: Fields, shape: Shape) -> None:
    at, depth = chance.randrange(len(fields)), chance.choice([1, 1, 2, 5, 50, 400, 1200])
    before, after = chance.choice([("[", "]"), ('{"a":', "}")])
    fields[at] = (fields[at][0], before * depth + fields[at][1] + after * depth)


def _shuffle(chance: random.Random, fields: Fields, shape: Shape) -> None:
    chance.shuffle(fields)


def _repeat(chance: random.Random, fields: Fields, shape: Shape) -> None:
    name = chance.choice(fields)[0]
    make = shape.makers.get(json.loads(name), text)
    fields.insert(chance.randrange(len(fields) + 1), (name, make(chance)))


def _unknown(chance: random.Random, fields: Fields, shape: Shape) -> None:
    fields.insert(
        chance.randrange(len(fields) + 1),
        (json.dumps(chance.choice(TEXTS)), chance.choice([text, double, array(text)])(chance)),
    )


def _omit(chance: random.Random, fields: Fields, shape: Shape) -> None:
    if len(fields) > 1:
        fields.pop(chance.randrange(len(fields)))


def _replace(chance: random.Random, fields: Fields, value: str) -> None:
    at = chance.randrange(len(fields))
    fields[at] = (fields[at][0], value)


def _flip(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] if data else data


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _splice(chance: random.Random, data: bytes) -> bytes:
    start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[end:] if chance.random() < 0.5 else data[:end] + data[start:]


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(TOKENS) + data[at + chance.choice([0, 0, 1, 3]) :]


def _append(chance: random.Random, data: bytes) -> bytes:
    return data + chance.choice([data, b"}", b",", b" ", b"\x00", b"x", b"\n{}"])


_STRUCTURE: list[Callable[[random.Random, Fields, Shape], Any]] = [
    _swap_type, _number, _time, _unicode, _escape, _nest, _shuffle, _repeat, _unknown, _omit,
]  # fmt: skip
_BYTES: list[Callable[[random.Random, bytes], bytes]] = [_flip, _flip, _cut, _splice, _insert, _insert, _append]
