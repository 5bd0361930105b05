"""Card, account and telephone numbers with right check digits, and the ways in which people write them."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.places import Phones

CARDS = (
    ("424242", 16), ("411111", 16), ("555555", 16), ("222300", 16), ("378282", 15), ("371449", 15), ("601111", 16),
    ("353011", 16), ("305693", 14),
)  # fmt: skip
"""First digits of the networks' published test cards, and the length of a number."""
CARD_SPELLINGS = ("plain", "spaced", "hyphenated", "padded")
EMAIL_SPELLINGS = ("plain", "capitals", "mixed", "padded")
PHONE_SPELLINGS = ("e164", "spaced", "double_zero", "usual")


def luhn(digits: str) -> str:
    """The check digit that ends a card number (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card_number(network: int, account: int) -> str:
    """A card number; ``account`` is written into the digits between the network's and the check digit."""
    start, length = CARDS[network]
    digits = f"{start}{account:0{length - len(start) - 1}d}"
    return digits + luhn(digits)


def iban(country: str, bban: str) -> str:
    """An IBAN with its check digits (ISO 13616, modulus 97)."""
    numbers = "".join(str(int(character, 36)) for character in f"{bban}{country}00")
    return f"{country}{98 - int(numbers) % 97:02d}{bban}"


def scattered(rank: np.ndarray, *, digits: int, shift: int) -> np.ndarray:
    """Different whole numbers of up to ``digits`` digits (at most 9) for different ranks below 10^digits."""
    size = 10**digits
    return (rank * 618_033_989 + shift) % size  # the factor shares no divisor with 10


def card_spellings(number: str) -> tuple[str, ...]:
    """A card number as in CARD_SPELLINGS."""
    cuts = (4, 10) if len(number) < 16 else (4, 8, 12)
    parts = [number[a:b] for a, b in zip((0, *cuts), (*cuts, None), strict=True)]
    return number, " ".join(parts), "-".join(parts), f" {number} "


def email_spellings(address: str) -> tuple[str, ...]:
    """An e-mail address as in EMAIL_SPELLINGS; none of them means another mailbox here."""
    local, _, domain = address.partition("@")
    return address, address.upper(), f"{local.title()}@{domain.capitalize()}", f"  {address} "


def phone_spellings(national: str, *, phones: Phones) -> tuple[str, ...]:
    """A telephone number as in PHONE_SPELLINGS; from abroad nobody writes it as it is dialled at home."""
    parts: list[str] = []
    at = 0
    for size in phones.groups:
        parts.append(national[at : at + size])
        at += size
    spaced = " ".join(parts)
    local = f"+{phones.code} ({parts[0]}) {'-'.join(parts[1:])}" if phones.trunk is None else phones.trunk + spaced
    return f"+{phones.code}{national}", f"+{phones.code} {spaced}", f"00{phones.code}{national}", local
