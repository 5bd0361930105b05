"""Good records: a maker of values for each field of both streams."""

# ruff: noqa: E501

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from catalogue.poison import CANARY, Stream
from catalogue.texts import BIDI_AND_INVISIBLE, CONTROL, INJECTIONS, LETTERS

TEXTS = [*CONTROL, *BIDI_AND_INVISIBLE, *LETTERS, *INJECTIONS, "", " ", "a", "N14228"]


@dataclass(frozen=True)
class Shape:
    """A stream's fields and how to make a good value of each."""

    stream: Stream
    makers: dict[str, Callable[[random.Random], str]]


def text(chance: random.Random) -> str:
    return json.dumps(chance.choice(TEXTS), ensure_ascii=chance.random() < 0.5)


def time(chance: random.Random) -> str:
    day = f"{chance.randint(1, 9999):04d}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
    zone = chance.choice(["Z", "+00:00", "-0330", "+14:00"])
    return f'"{day}{chance.choice("T ")}{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}:59{chance.choice(["", ".5", ".000001"])}{zone}"'


def array(item: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda chance: "[" + ",".join(item(chance) for _ in range(chance.randint(0, 4))) + "]"


def whole(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda chance: str(chance.randint(low, high))


def double(chance: random.Random) -> str:
    return repr(
        chance.choice(
            [
                chance.uniform(-1e3, 1e3),
                chance.gauss(0, 1) * 10 ** chance.randint(-300, 300),
                float(chance.randint(-9, 9)),
            ]
        )
    )


def day(chance: random.Random) -> str:
    return f'"{chance.randint(1, 9999):04d}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"'


def money(chance: random.Random) -> str:
    amount = f"{chance.randint(-(10**8) + 1, 10**8 - 1)}{chance.choice(['', '.5', '.25', '.99'])}"
    return chance.choice([amount, f'"{amount}"'])


def struct(**makers: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda chance: "{" + ",".join(f'"{name}":{make(chance)}' for name, make in makers.items()) + "}"


COMMON = {"id": text, "at": time, "owner": lambda _: f'"{CANARY}"', "n": whole(-(2**31), 2**31 - 1), "x": double}
SHAPES: dict[Stream, Shape] = {
    "plain": Shape(
        "plain",
        COMMON
        | {
            "b": whole(-(2**63), 2**63 - 1),
            "flag": lambda chance: chance.choice(["true", "false"]),
            "day": day,
            "money": money,
        }
        | {"big": whole(-(10**38) + 1, 10**38 - 1), "phone": text, "secret": text},
    ),
    "strict": Shape(
        "strict",
        COMMON
        | {
            "address": struct(city=text, zip=whole(0, 99999), seen=time, lat=double),
            "tags": array(text),
            "codes": array(whole(-9, 9)),
        }
        | {"items": array(struct(sku=text, qty=whole(0, 9))), "days": array(day)},
    ),
}
