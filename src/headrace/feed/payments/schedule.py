"""When the world changes: every regime differs from ``steady`` in one respect, from a known day on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

FIRST_DAY = date(2025, 1, 1)
DAYS = 365
DAY_MS = 86_400_000
EPOCH_MS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Day 0 of the simulation, midnight UTC."""


@dataclass(frozen=True)
class Regime:
    """A stretch of days. ``drift``: ``none``, ``covariate`` (other payments, fraud as before), ``prior`` (more fraud of the
    same kinds) or ``concept`` (as much fraud, done in other ways)."""

    first: date
    drift: str
    what: str
    app_percent: int = 10
    """Share of payments made in an app."""
    amount_percent: int = 100
    digital_percent: int = 100
    """How often digital goods are bought, against steady days."""
    fraud_percent: int = 100
    imitates: bool = False
    """Whether fraud imitates its victim."""

    @property
    def name(self) -> str:
        return "steady" if self.drift == "none" else self.drift


def _steady(first: date) -> Regime:
    return Regime(first, "none", "nothing changes")


REGIMES = (
    _steady(FIRST_DAY),
    Regime(
        date(2025, 3, 1), "covariate", "many pay by app, for digital goods, and pay more; fraud is done as before",
        app_percent=35, amount_percent=130, digital_percent=180,
    ),
    _steady(date(2025, 4, 1)),
    Regime(date(2025, 5, 1), "prior", "fraud is twice as frequent, and done as before", fraud_percent=200),
    _steady(date(2025, 6, 1)),
    Regime(
        date(2025, 7, 1), "concept", "fraud imitates its victims: their devices, their country, everyday amounts, slowly",
        imitates=True,
    ),
    _steady(date(2025, 9, 1)),
)  # fmt: skip


def regime_of(day: int) -> Regime:
    """The regime of a day, counted from ``FIRST_DAY``."""
    when = FIRST_DAY + timedelta(days=day)
    return next(regime for regime in reversed(REGIMES) if regime.first <= when)


def day_of(when: date) -> int:
    """Days from ``FIRST_DAY``."""
    return (when - FIRST_DAY).days


def drift_schedule() -> list[dict[str, Any]]:
    """The regimes as JSON values, in order; ``first`` is the first day (UTC)."""
    return [{**asdict(regime), "name": regime.name, "first": regime.first.isoformat()} for regime in REGIMES]
