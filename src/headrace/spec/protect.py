"""What is written in place of a protected value."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from headrace.spec.section import Name, Section

Pattern = Literal["email", "phone", "card", "iban", "ip", "national_id"]
PATTERNS: tuple[Pattern, ...] = ("email", "phone", "card", "iban", "ip", "national_id")
Kind = Literal["exact", "text", "email", "phone", "card", "digits"]
Region = Annotated[str, Field(pattern="^[A-Z]{2}$")]
"""An ISO 3166 country code in capitals."""


class Pseudonym(Section):
    """HMAC-SHA256 under the key of a domain: equal values stay equal, within the domain only."""

    pseudonym: Name = Field(description="key domain; two pipelines can be joined only where they share it")
    kind: Kind = Field(default="exact", alias="as", description="what it is, so that its spellings get one pseudonym")
    region: Region | None = Field(default=None, description="of phone: the country of a number without country code")
    gmail_rules: bool = Field(
        default=False, description="of email: dots and +suffix don't count in Gmail's own addresses"
    )

    @model_validator(mode="after")
    def _fitting_options(self) -> Self:
        if (self.kind == "phone") != (self.region is not None):
            needs = "phone needs a region, such as {pseudonym: phones, as: phone, region: US}"
            raise ValueError(needs if self.kind == "phone" else f"{self.kind} takes no region; remove it")
        if self.gmail_rules and self.kind != "email":
            raise ValueError(f"{self.kind} takes no gmail_rules; remove it")
        return self


def _known_mask(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 8
    if not whole and value != "domain":
        raise ValueError("expected a number of characters from 0 to 8, or domain")
    return value


class Mask(Section):
    """Every character but the last N becomes ``*``; of an e-mail address, the domain stays."""

    mask: Annotated[int | Literal["domain"], BeforeValidator(_known_mask)] = Field(
        description="how many characters at the end stay readable (0 to 8), or domain: what stands after an address's @"
    )


class Generalize(Section):
    """A coarser value: a date's year, an address's network, a number's band, a place's cell, a text's beginning."""

    generalize: Literal["year", "month", "network", "band", "grid", "prefix"] = Field(
        description="year or month of a date; network of an IP address (IPv4 /24, IPv6 /48); band of a number; grid: cell of a "
        "latitude or longitude; prefix of a text, such as a postcode"
    )
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="of a band in the column's unit, of a grid in degrees, of a prefix in characters"
    )

    @model_validator(mode="after")
    def _width_where_it_belongs(self) -> Self:
        needed = self.generalize in ("band", "grid", "prefix")
        if needed and self.width is None:
            raise ValueError(f"{self.generalize} needs a width, such as {{generalize: {self.generalize}, width: 10}}")
        if not needed and self.width is not None:
            raise ValueError(f"{self.generalize} takes no width; remove it")
        if self.generalize == "grid" and (self.width or 0) > 90:
            raise ValueError("the width of a grid is at most 90 degrees")
        if self.generalize == "prefix" and self.width not in range(1, 9):
            raise ValueError("the width of a prefix is a number of characters from 1 to 8")
        return self


class Encrypt(Section):
    """AES-256-GCM under a key of its own, bound to the row: who holds the key ring can read it."""

    encrypt: Name = Field(description="name of the key")


class Redact(Section):
    """Free text in which what looks personal is replaced by what it is, such as ``[email]``."""

    redact: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(description="what to look for")
    region: Region | None = Field(default=None, description="country whose phone numbers need no country code")


_SECTIONS: dict[str, type[Section]] = {
    "pseudonym": Pseudonym,
    "mask": Mask,
    "generalize": Generalize,
    "encrypt": Encrypt,
    "redact": Redact,
}
_WORDS = ("drop", "redact", "public")


def _known_word(value: Any) -> Any:
    if value not in _WORDS:
        raise ValueError(f"expected {', '.join(_WORDS)}, or a mapping with one of {', '.join(_SECTIONS)}")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, Section):
        return type(value).__name__
    if isinstance(value, dict):
        return next((kind.__name__ for name, kind in _SECTIONS.items() if name in value), "word")
    return "word"


Protection = Annotated[
    Annotated[Literal["drop", "redact", "public"], BeforeValidator(_known_word), Tag("word")]
    | Annotated[Pseudonym, Tag("Pseudonym")]
    | Annotated[Mask, Tag("Mask")]
    | Annotated[Generalize, Tag("Generalize")]
    | Annotated[Encrypt, Tag("Encrypt")]
    | Annotated[Redact, Tag("Redact")],
    Discriminator(_kind),
]
"""``drop``: not written at all. ``redact``: free text, all patterns. ``public``: written as it is, since it tells nothing about a
person. Or one of the sections above."""
