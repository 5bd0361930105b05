"""Which columns look personal by their name. Names only: no value is seen here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace.spec.paths import ITEMS, UNKNOWN, Path

_TEXT = ("string", UNKNOWN)
_CODE = (*_TEXT, "int", "bigint", "decimal")
_PLACE = (*_TEXT, "double", "decimal")
_DATE = (*_TEXT, "date", "timestamp", "int")

_MEANINGS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("an e-mail address", _TEXT, "email, e mail, mail address"),
    ("a phone number", _CODE, "phone, telephone, mobile, cellphone, cell, tel, fax, msisdn"),
    ("a network address", _TEXT, "ip, ip addr, ip address, ipv4, ipv6, mac, mac addr, mac address"),
    ("a person's name", _TEXT, "surname, firstname, lastname, fullname, nickname, username, fname, lname, cardholder"),
    ("a postal address", _TEXT, "address, street, postcode, postal code, post code, zip, zipcode, zip code"),
    ("a payment card", _CODE, "card, pan, cvv, cvc"),
    ("a bank account", _CODE, "iban, account, bank account"),
    (
        "an identity number",
        _CODE,
        "ssn, social security, national id, passport, tax id, bsn, nino, pesel, cpf, aadhaar, dni",
    ),
    ("a date of birth", _DATE, "birthday, birthdate, birth date, date of birth, birth year, year of birth, dob, born"),
    ("a place", _PLACE, "lat, latitude, lon, lng, longitude, geohash, gps"),
    ("a device", _CODE, "imei, imsi, device id, advertising id, cookie id"),
    ("a vehicle", _TEXT, "license plate, licence plate, number plate, vin"),
    ("a trait of a person", _TEXT, "gender, sex, religion, ethnicity, nationality, diagnosis"),
)
"""Meaning, types that can have it, and what a column's words end with."""
_PERSON = frozenset(
    [
        "first",
        "last",
        "middle",
        "given",
        "family",
        "full",
        "maiden",
        "nick",
        "user",
        "legal",
        "birth",
        "customer",
        "client",
        "patient",
        "employee",
        "person",
        "contact",
        "owner",
        "holder",
        "passenger",
        "guest",
        "member",
        "subscriber",
        "sender",
        "recipient",
        "buyer",
        "payer",
        "payee",
        "beneficiary",
        "driver",
        "student",
        "billing",
        "shipping",
    ]
)
"""A name that follows one of these is a person's."""
_NUMBER = ("number", "no", "nr", "num")


def meaning_of_name(path: Path, kind: str) -> str | None:
    """What a column or field of a type looks like by its name, such as ``a phone number``, or None."""
    words = [word for step in path if step != ITEMS for word in _words(step)]
    kind = kind.split("(")[0]
    if words[-1] == "name" and kind in _TEXT and (len(words) == 1 or {word.rstrip("s") for word in words} & _PERSON):
        return "a person's name"
    if words[-1] in _NUMBER:
        words = words[:-1]
    spoken = re.sub(r"(?<=ss)es$|(?<=[^s ]{3})s$", "", f" {' '.join(words)}")
    for meaning, kinds, phrases in _MEANINGS:
        if kind in kinds and any(spoken.endswith(f" {phrase}") for phrase in phrases.split(", ")):
            return meaning
    return None


def personal_names(columns: Mapping[Path, str]) -> dict[Path, str]:
    """Those of the paths (with their types) that look personal, and as what."""
    found = {path: meaning_of_name(path, kind) for path, kind in columns.items()}
    return {path: meaning for path, meaning in found.items() if meaning is not None}


def _words(name: str) -> list[str]:
    """``clientIPAddress`` and ``client_ip_address`` as client, ip, address."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in re.split(r"_+", parts.lower()) if word] or [name]
