"""Phone numbers in E.164, by each country's numbering plan (phonenumbers, Google's libphonenumber).

The library takes 15 µs for a number, which a stream can't afford for each row. So the spellings of a number share one reading,
and a number to which no rule of its plan applies (no dialling prefix stands before it) is put together here; a test holds the
result against the library's own for every country.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PLAIN = re.compile(r"[ (]*(\+?)([\d ().\-/]{3,249})", re.ASCII)
_NOT_DIGITS = re.compile(r"\D+")


def e164(value: str, region: str) -> str | None:
    """The number as ``+``, country code and national number (an extension is left out), or None where it is none.

    ``region``: country (ISO 3166) that a number without country code belongs to.
    """
    plain = _PLAIN.fullmatch(value)
    if plain is None:
        return _by_library(value, region)
    digits = _NOT_DIGITS.sub("", plain[2])
    return _of_digits(plain[1], digits, region) if len(digits) > 2 else _by_library(value, region)


@lru_cache(maxsize=1 << 17)
def _of_digits(plus: str, digits: str, region: str) -> str | None:
    code = _country_code(digits) if plus else None
    if plus and code is not None:
        before = _plan_of_code(code)
        if not before.match(digits, len(code)) and 2 <= len(digits) - len(code) <= 17:
            return f"+{digits}"
    elif not plus and region:
        code, before = _plan_of_region(region)
        if not before.match(digits) and len(digits) <= 17:
            return f"+{code}{digits}"
    return _by_library(plus + digits, region)


def _by_library(value: str, region: str) -> str | None:
    from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

    try:
        return format_number(parse(value, region or None), PhoneNumberFormat.E164)
    except NumberParseException:
        return None


def _country_code(digits: str) -> str | None:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    codes = (digits[:length] for length in (1, 2, 3) if digits[0] != "0")
    return next((code for code in codes if int(code) in COUNTRY_CODE_TO_REGION_CODE), None)


@lru_cache(maxsize=512)
def _plan_of_code(code: str) -> re.Pattern[str]:
    """What stands before a national number under this country code, so that a rule applies."""
    from phonenumbers import PhoneMetadata, region_code_for_country_code

    plan = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region_code_for_country_code(int(code)))
    return _any_of(plan.national_prefix_for_parsing if plan else None)


@lru_cache(maxsize=512)
def _plan_of_region(region: str) -> tuple[str, re.Pattern[str]]:
    """A country's code, and what stands before a number there, so that a rule applies (anything: there is no such country)."""
    from phonenumbers import PhoneMetadata

    plan = PhoneMetadata.metadata_for_region(region)
    if plan is None:
        return "", re.compile("")
    code = str(plan.country_code)
    return code, _any_of(plan.international_prefix, code, plan.national_prefix_for_parsing)


def _any_of(*patterns: str | None) -> re.Pattern[str]:
    given = [f"(?:{pattern})" for pattern in patterns if pattern]
    return re.compile("|".join(given) or r"(?!)")
