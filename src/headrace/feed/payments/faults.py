"""Planted faults: how a right record is spoiled, and what ingest must say of it under ``conf/payments``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Spoil = Callable[[bytes], bytes | None]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. ``reasons``: what ``failed_rules`` must hold, in that order. ``hides``: identifiers that it spoils."""

    name: str
    reasons: tuple[str, ...]
    spoil: Spoil
    accepted: bool = False
    """Whether the row is accepted all the same: its rules are warnings."""
    hides: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return "accepted" if self.accepted else "quarantined"


def _with(**fields: Any) -> Spoil:
    """Other values of some fields."""

    def spoil(value: bytes) -> bytes:
        return _written(json.loads(value) | fields)

    return spoil


def _changed(field: str, change: Callable[[Any], Any]) -> Spoil:
    def spoil(value: bytes) -> bytes:
        record = json.loads(value)
        return _written(record | {field: change(record[field])})

    return spoil


def _written(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _without(field: str) -> Spoil:
    def spoil(value: bytes) -> bytes:
        record = json.loads(value)
        del record[field]
        return _written(record)

    return spoil


def _cut(value: bytes) -> bytes:
    """Ends within the second field's name: before anything that is not ASCII."""
    return value[: value.index(b'","') + 5]


BROKEN = (
    Fault("cut", ("decode:malformed",), _cut, hides=("email", "phone", "card")),
    Fault("two_documents", ("decode:trailing_data",), lambda value: value + value),
    Fault("empty", ("decode:empty",), lambda value: b"", hides=("email", "phone", "card")),
    Fault("tombstone", ("decode:tombstone",), lambda value: None, hides=("email", "phone", "card")),
    Fault("array", ("decode:not_an_object",), lambda value: b"[" + value + b"]"),
    Fault("not_utf8", ("decode:encoding",), lambda value: value[:-1] + b',"note2":"caf\xe9"}'),
)
"""Faults that any record can have."""

AUTHORIZATION_FAULTS = (
    *BROKEN,
    Fault("too_large", ("decode:too_large",), _with(note="x" * 20_000)),
    Fault("amount_in_words", ("decode:type:amount",), _with(amount="twelve")),
    Fault("amount_too_precise", ("decode:type:amount",), _with(amount=12.345)),
    Fault("time_without_offset", ("decode:type:authorized_at",), _changed("authorized_at", lambda at: at[:-1])),
    Fault(
        "address_as_text", ("decode:type:billing",), _changed("billing", lambda address: f"{address['line']}, {address['city']}")
    ),
    Fault("no_id", ("decode:missing:payment_id",), _with(payment_id=None)),
    Fault("no_card", ("decode:missing:card_number",), _without("card_number"), hides=("card",)),
    Fault(
        "two_types", ("decode:type:authorized_at", "decode:type:amount"),
        _with(amount="12,50", authorized_at="yesterday"),
    ),
    Fault("negative_amount", ("amount_plausible",), _with(amount=-12.5)),
    Fault("enormous_amount", ("amount_plausible",), _with(amount=2_500_000)),
    Fault("unknown_currency", ("currency_known",), _with(currency="XXX")),
    Fault("unknown_channel", ("channel_known",), _with(channel="fax")),
    Fault("short_card", ("card_form",), _changed("card_number", lambda number: number.strip()[:7]), hides=("card",)),
    Fault("from_the_future", ("authorized_before_received",), _with(authorized_at="2099-01-01T00:00:00.000Z")),
    Fault("two_rules", ("amount_plausible", "currency_known"), _with(amount=-1, currency="XXX")),
    Fault(
        "email_without_at", ("email_form",), _changed("email", lambda mail: mail.replace("@", " at ")), accepted=True,
        hides=("email",),
    ),
    Fault("unknown_merchant", ("merchant_known",), _with(merchant_id="m9999"), accepted=True),
    Fault(
        "warning_and_critical", ("card_form", "email_form"), _with(card_number="0000", email="nobody"), hides=("card", "email")
    ),
)  # fmt: skip
OUTCOME_FAULTS = (
    *BROKEN,
    Fault("unknown_field", ("decode:unknown:agent_remark",), _with(agent_remark="called twice")),
    Fault("repeated_field", ("decode:repeated_field",), lambda value: value[:-1] + b',"outcome":"settled"}'),
    Fault("time_as_number", ("decode:type:decided_at",), _with(decided_at=1_735_689_600)),
    Fault("no_id", ("decode:missing:payment_id",), _with(payment_id="  ")),
    Fault("unknown_outcome", ("outcome_known",), _with(outcome="pending")),
    Fault("negative_amount", ("amount_plausible",), _with(amount=-1)),
)
DEVICE_FAULTS = (
    *BROKEN,
    Fault("no_device", ("decode:missing:device_id",), _without("device_id")),
    Fault("unknown_kind", ("kind_known",), _with(kind="logged_in")),
    Fault("wrong_address", ("ip_form",), _with(ip="999.1.1"), accepted=True),
)
CUSTOMER_FAULTS = (
    *BROKEN,
    Fault("impossible_date", ("decode:type:birth_date",), _with(birth_date="2025-02-30")),
    Fault("contacts_as_text", ("decode:type:contacts",), _with(contacts="see e-mail")),
    Fault("contact_without_kind", ("decode:missing:contacts",), _with(contacts=[{"value": "nobody@example.org"}])),
    Fault("no_name", ("decode:missing:name",), _with(name="")),
    Fault("wrong_iban", ("iban_form",), _with(iban="FR00 1234")),
    Fault("born_tomorrow", ("birth_date_plausible",), _with(birth_date="2199-01-01")),
)


def spoiled(values: list[bytes], faults: tuple[Fault, ...], kinds: list[int]) -> list[bytes | None]:
    """The values, each spoiled by the fault of its kind; -1 leaves it as it is."""
    made: list[bytes | None] = list(values)
    for place, kind in enumerate(kinds):
        if kind >= 0:
            made[place] = faults[kind].spoil(values[place])
    return made
