"""Numbers that a type can't hold, that JSON does not know, and that look alike but are not."""

# ruff: noqa: E501

from __future__ import annotations

from decimal import Decimal

from catalogue.poison import Poison, flat, kept_beside, refused_beside

THIRTY = "123456789012345678901234567890"
THIRTY_EIGHT = "12345678901234567890123456789012345678"

RECORDS: list[Poison] = flat(
    # not JSON
    refused_beside("decode:malformed", *(f'"x":{text}' for text in
                   ("NaN", "Infinity", "-Infinity", "-NaN", "1.", ".5", "1_000", "1e", "1e+", "--1", "- 1", "1.5.2", "1,5", "0x1p3", "1f", "1d", "1E5L", "½", "１"))),
    refused_beside("decode:malformed", *(f'"n":{text}' for text in ("007", "-01", "+1", "0x10", "0b1", "0o7", "-", "1L", "٣"))),
    refused_beside("decode:malformed", '"zz":NaN', '"zz":01', '"zz":1.', f'"zz":{"9" * 1500}', f'"n":{"1" * 1001}', f'"x":0.{"1" * 1001}'),
    # integer: 32 bits, and nothing that is written as a fraction
    kept_beside('"n":12', n=12),
    kept_beside('"n":-0', n=0),
    kept_beside('"n":null'),
    kept_beside('"n":2147483647', n=2147483647),
    kept_beside('"n":-2147483648', n=-2147483648),
    refused_beside("decode:type:n", *(f'"n":{text}' for text in
                   ("2147483648", "-2147483649", THIRTY, "1.5", "1.0", "1e2", "-0.0", '"abc"', '"12"', '""', '"0x10"', '"NaN"', "true", "{}", "[1]", "[]"))),
    # long: 64 bits
    kept_beside('"b":9223372036854775807', b=2**63 - 1),
    kept_beside('"b":-9223372036854775808', b=-(2**63)),
    kept_beside('"b":9007199254740993', b=2**53 + 1),
    refused_beside("decode:type:b", *(f'"b":{text}' for text in
                   ("9223372036854775808", "-9223372036854775809", "18446744073709551616", THIRTY, "9" * 1000, "1e3", "9223372036854775807.0", '"1"'))),
    # double: finite
    kept_beside('"x":12', x=12.0),
    kept_beside('"x":1.5e3', x=1500.0),
    kept_beside('"x":-0.0', x=-0.0),
    kept_beside('"x":-0', x=0.0),
    kept_beside('"x":0.1', x=0.1),
    kept_beside('"x":0.30000000000000004', x=0.30000000000000004),
    kept_beside('"x":9007199254740993', x=9007199254740992.0),
    kept_beside('"x":1e-999', x=0.0),
    kept_beside('"x":5e-324', x=5e-324),
    kept_beside('"x":2.2250738585072012e-308', x=2.2250738585072012e-308),
    kept_beside('"x":1.7976931348623157e308', x=1.7976931348623157e308),
    kept_beside('"x":1E+2', x=100.0),
    kept_beside(f'"x":{THIRTY}', x=1.2345678901234568e29),
    kept_beside(f'"x":{"9" * 300}', x=1e300),
    refused_beside("decode:type:x", *(f'"x":{text}' for text in
                   ("1e999", "-1e999", "1.7976931348623159e308", "9" * 400, '"NaN"', '"Infinity"', '"-INF"', '"inf"', '"1.5"', '"1e5"', '""', "true", '"}"', "[1.5]", "{}"))),
    # decimal(10,2) and decimal(38,0): never rounded
    kept_beside('"money":12.34', money=Decimal("12.34")),
    kept_beside('"money":"12.34"', money=Decimal("12.34")),
    kept_beside('"money":12.340', money=Decimal("12.34")),
    kept_beside('"money":1e2', money=Decimal("100.00")),
    kept_beside('"money":-0.01', money=Decimal("-0.01")),
    kept_beside('"money":0', money=Decimal("0.00")),
    kept_beside('"money":99999999.99', money=Decimal("99999999.99")),
    kept_beside('"money":0.1', money=Decimal("0.10")),
    kept_beside(f'"big":{THIRTY}', big=Decimal(THIRTY)),
    kept_beside(f'"big":"{THIRTY}"', big=Decimal(THIRTY)),
    kept_beside(f'"big":{THIRTY_EIGHT}', big=Decimal(THIRTY_EIGHT)),
    kept_beside(f'"big":-{THIRTY_EIGHT}', big=Decimal("-" + THIRTY_EIGHT)),
    kept_beside('"big":5.000', big=Decimal(5)),
    refused_beside("decode:type:money", *(f'"money":{text}' for text in
                   ("12.345", "123456789", "100000000", "1e-30", "1.0000000000000000000001", "1e99", "1e999", '"abc"', '""', '" 1"', '"1\\n"', '"1,5"', '"$1"', '"NaN"',
                    '"١"', '"1e999999999"', '"1e-999999999"', "true", "[]", "{}", '{"a":1}'))),
    refused_beside("decode:type:big", '"big":0.1', f'"big":{THIRTY_EIGHT}9', '"big":1e39', f'"big":{"9" * 900}'),
    # boolean
    kept_beside('"flag":false', flag=False),
    refused_beside("decode:type:flag", *(f'"flag":{text}' for text in ('"true"', "1", "0", '"no"', '""', "[]", "{}"))),
)  # fmt: skip
