"""The merchants: the same in every simulation. ``conf/payments/merchants.csv`` is written from here."""

from __future__ import annotations

import numpy as np

from headrace.feed.payments.places import CODES

CATEGORIES = ("grocery", "restaurant", "fuel", "fashion", "electronics", "travel", "digital", "jewellery")
GROCERY, RESTAURANT, FUEL, FASHION, ELECTRONICS, TRAVEL, DIGITAL, JEWELLERY = range(len(CATEGORIES))
_SHOPS, _SITES = 2, 8
"""Shops of a category in a country; web sites of a category."""
_FIRST_SITE = len(CODES) * len(CATEGORIES) * _SHOPS
COUNT = _FIRST_SITE + len(CATEGORIES) * _SITES


def shop(country: np.ndarray, category: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Number of a shop; ``choice``: any whole number."""
    return (country * len(CATEGORIES) + category) * _SHOPS + choice % _SHOPS


def site(category: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Number of a web site; ``choice``: any whole number."""
    return _FIRST_SITE + category * _SITES + choice % _SITES


def country_of(merchant: np.ndarray) -> np.ndarray:
    """Country number of each merchant; web sites are spread over all countries."""
    shops = merchant // (len(CATEGORIES) * _SHOPS)
    return np.where(merchant < _FIRST_SITE, shops, (merchant * 3) % len(CODES))


def category_of(merchant: np.ndarray) -> np.ndarray:
    """Category number of each merchant."""
    return np.where(merchant < _FIRST_SITE, merchant // _SHOPS % len(CATEGORIES), (merchant - _FIRST_SITE) // _SITES)


def merchant_id(number: int) -> str:
    """The id in records."""
    return f"m{number:04d}"


def reference_csv() -> str:
    """The merchants as CSV: ``merchant_id``, ``category``, ``country``, ``online`` (0 or 1), ``opened_year``."""
    numbers = np.arange(COUNT)
    countries, categories = country_of(numbers).tolist(), category_of(numbers).tolist()
    lines = ["merchant_id,category,country,online,opened_year"]
    for number in numbers.tolist():
        country, category, online = CODES[countries[number]], CATEGORIES[categories[number]], int(number >= _FIRST_SITE)
        lines.append(f"{merchant_id(number)},{category},{country},{online},{1995 + number * 7 % 28}")
    return "\n".join(lines) + "\n"
