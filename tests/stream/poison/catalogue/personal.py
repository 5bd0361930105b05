"""A person's name where nobody looks for one: each record's verdict, and the name in no file."""

# ruff: noqa: E501

from __future__ import annotations

from catalogue.poison import CANARY, Poison, flat, kept, refused, refused_beside

BASE = '"id":"a","at":"2013-01-01T00:00:00Z"'
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
NOBODY = {"owner": None}


def beside(field: str) -> str:
    return f"{{{BASE},{field}}}"


RECORDS: list[Poison] = flat(
    # in the column that is protected, well-formed
    kept(beside(f'"owner":"{CANARY}"')),
    kept(beside(f'"owner":"  {CANARY}\\n"')),
    kept(beside(f'"owner":"{ESCAPED}"')),
    kept(beside('"owner":"\\u0000\\u202e"'), owner="\x00\u202e"),
    kept(beside('"owner":""'), **NOBODY),
    kept(beside('"owner":null'), **NOBODY),
    kept(beside('"owner":7'), owner="7"),
    kept(beside(f'"phone":"{CANARY}","owner":"x"'), owner="x", phone=CANARY),
    kept(beside(f'"phone":"{CANARY} "'), phone=CANARY, **NOBODY),
    kept(beside('"phone":"12"'), phone="12", **NOBODY),
    kept(beside('"phone":"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00"'), phone="\U0001f600" * 3, **NOBODY),
    kept(beside(f'"secret":"{CANARY}"'), **NOBODY),
    # in it, but not as a text
    refused("decode:type:owner", *(beside(f'"owner":{value}') for value in (f'["{CANARY}"]', f'{{"name":"{CANARY}"}}', f'[[{{"{CANARY}":1}}]]'))),
    refused("decode:type:secret", beside(f'"secret":["{CANARY}"]')),
    refused("decode:type:phone", beside(f'"phone":{{"home":"{CANARY}"}}')),
    # in records that can't be read
    refused("decode:malformed", beside(f'"owner":"{CANARY}'), beside(f'"owner":{CANARY}'), beside(f"'owner':'{CANARY}'"), f'{{"{CANARY}'),
    refused("decode:not_an_object", f'"{CANARY}"', f'["{CANARY}"]', CANARY),
    refused("decode:trailing_data", beside(f'"owner":"{CANARY}"') + CANARY),
    refused("decode:encoding", beside(f'"owner":"{CANARY}').encode() + b'\xff"}', f"{{{CANARY}".encode("utf-16")),
    # in a field of another type: what the record decoded to must not quote it
    refused_beside("decode:type:n", f'"n":"{CANARY}"'),
    refused_beside("decode:type:x", f'"x":"{CANARY}"'),
    refused_beside("decode:type:day", f'"day":"{CANARY}"'),
    refused_beside("decode:type:money", f'"money":"{CANARY}"'),
    refused_beside("decode:type:flag", f'"flag":"{CANARY}"'),
    refused("decode:type:at", f'{{"id":"a","at":"{CANARY}"}}'),
    # in a field that the schema lacks, as value and as name
    kept(beside(f'"zz":"{CANARY}","{CANARY}":"{CANARY}"'), **NOBODY),
    # beside another fault: the columns that were decoded are protected all the same
    refused("decode:type:n", beside(f'"owner":"{CANARY}","phone":"{CANARY}","secret":"{CANARY}","n":"x"')),
    refused("decode:missing:id", f'{{"id":null,"at":"2013-01-01T00:00:00Z","owner":"{CANARY}"}}'),
)  # fmt: skip
