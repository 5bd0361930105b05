"""Records of erasures: signed, read back, and known to be damaged."""

from __future__ import annotations

import json

import pytest

from headrace.erasure.record import Planned, new_record, read_record, signed
from headrace.privacy.ring import KeyRing

RING = KeyRing("ring", {}).with_key("erasures")


def text(**changes: object) -> str:
    """A record that was begun, with these changes after it was signed."""
    record = new_record(pipeline="shop", spec="0" * 12)
    record.plan["events/customers"] = Planned(((0, 3), (1, 5)), ("2026-01-01",), 4)
    return json.dumps({**json.loads(signed(record, ring=RING)), **changes})


def test_a_record_is_read_as_it_was_written() -> None:
    record, problem = read_record(text(), ring=RING)
    assert problem is None
    assert record.plan == {"events/customers": Planned(((0, 3), (1, 5)), ("2026-01-01",), 4)}


@pytest.mark.parametrize("changes", [{"user": "eve"}, {"rows": {"x": {"accepted": 1}}}, {"hmac": "ü"}, {"more": 1}])
def test_a_change_is_seen(changes: dict[str, object]) -> None:
    assert read_record(text(**changes), ring=RING)[1] == "it was changed after it was signed"


def test_a_key_that_is_gone_is_said() -> None:
    ring = RING.with_key("erasures").without_secret("erasures", 1)
    assert "was retired" in str(read_record(text(), ring=ring)[1])


@pytest.mark.parametrize(
    "damaged",
    [
        "", "\0" * 40, "{}", "[]", "null", "7", text()[:-20], text()[20:], "[" * 5000, text(key_version="one"), text(id=None),
        text(plan=[]), text(plan={"events/customers": {"places": [[0]], "days": [], "version": 1}}), text(rows={"x": 7}),
        text(files="none"), text(models=[{}]),
    ],
)  # fmt: skip
def test_what_is_no_record_is_told_as_one_kind_of_error(damaged: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read_record(damaged, ring=RING)
