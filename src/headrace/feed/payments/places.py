"""Countries: how addresses, telephone numbers and account numbers are written there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class City:
    """A town in its own script, with the start of its postcodes and its place in degrees times 10,000."""

    name: str
    postcode: str
    latitude: int
    longitude: int


@dataclass(frozen=True)
class Phones:
    """Mobile numbers: ``+code`` and the national digits, which begin with one of ``starts`` and have ``free`` more.

    ``groups``: how the digits are spaced; ``trunk``: what is dialled before them in the country of the shop, None elsewhere.
    """

    code: str
    starts: tuple[str, ...]
    free: int
    groups: tuple[int, ...]
    trunk: str | None = None


@dataclass(frozen=True)
class Country:
    """A country of the simulation; ``weight``: its share of the customers, in hundredths."""

    code: str
    weight: int
    currency: str
    cities: tuple[City, ...]
    streets: tuple[str, ...]
    line: Callable[[str, int], str]
    """A street and a house number as one line."""
    postcode: Callable[[str, int], str]
    """A town's start and a number from 0 to 99 as a postcode."""
    phones: Phones
    bank: str | None = None
    """The BBAN's first part (a bank that does not exist), or None where there are no IBANs."""
    account_digits: int = 0


def _cities(text: str) -> tuple[City, ...]:
    rows = (row.split("|") for row in text.split(";"))
    return tuple(City(name.strip(), start.strip(), int(lat), int(lon)) for name, start, lat, lon in rows)


def _streets(text: str) -> tuple[str, ...]:
    return tuple(street.strip() for street in text.split(","))


COUNTRIES = (
    Country(
        "FR", 20, "EUR",
        _cities("Besançon|250|472378|60241;Nîmes|300|438367|43601;Évreux|270|490270|11514;Saint-Étienne|420|454397|43872"),
        _streets("rue des Écoles, avenue Frédéric-Mistral, impasse du Château, boulevard de l'Hôpital, quai Voltaire"),
        lambda street, number: f"{number} {street}",
        lambda start, number: f"{start}{number:02d}",
        Phones("33", ("639",), 6, (1, 2, 2, 2, 2), "0"), "3000699999", 13,
    ),
    Country(
        "DE", 15, "EUR",
        _cities("Göttingen|370|515413|99158;Lüneburg|213|532464|104115;Würzburg|970|497913|99534;Köln|506|509375|69603"),
        _streets("Lindenstraße, Am Mühlgraben, Goetheplatz, Königsallee, Bürgermeister-Schütz-Weg"),
        lambda street, number: f"{street} {number}",
        lambda start, number: f"{start}{number:02d}",
        Phones("49", ("1575",), 7, (4, 7)), "99999901", 10,
    ),
    Country(
        "GB", 15, "GBP",
        _cities("Llandudno|LL3|533241|-38276;Harrogate|HG1|539921|-15418;Truro|TR1|502632|-50510;Inverness|IV2|574778|-42247"),
        _streets("Cathedral Mews, Old Tannery Lane, Bishop's Way, Queen Anne's Gate, Mill Race"),
        lambda street, number: f"{number} {street}",
        lambda start, number: f"{start} {number // 10}{'ABDEFGHJLN'[number % 10]}{'PQRSTUWXYZ'[number % 10]}",
        Phones("44", ("7700",), 6, (4, 6)), "HEAD999999", 8,
    ),
    Country(
        "US", 15, "USD",
        _cities("Albuquerque|871|350844|-1066504;Savannah|314|320809|-810912;Duluth|558|467867|-921005;Boise|837|436150|-1162023"),
        _streets("Magnolia Ave, Old Mill Rd, N Cottonwood St, Buena Vista Dr, Lighthouse Ln"),
        lambda street, number: f"{100 + number * 7} {street}",
        lambda start, number: f"{start}{number:02d}",
        Phones("1", tuple(f"{area}555" for area in range(212, 252)), 4, (3, 3, 4)),
    ),
    Country(
        "RS", 6, "RSD",
        _cities("Нови Сад|21|452671|198335;Крагујевац|34|440128|209114;Суботица|24|461005|196651;Ниш|18|433209|218958"),
        _streets("Улица Вука Караџића, Булевар ослобођења, Трг републике, Његошева улица, Кнез Михаилова"),
        lambda street, number: f"{street} {number}",
        lambda start, number: f"{start}0{number:02d}",
        Phones("381", ("64",), 7, (2, 3, 4)), "999", 15,
    ),
    Country(
        "GR", 6, "EUR",
        _cities("Ιωάννινα|45|396650|208537;Ηράκλειο|71|353387|251442;Βόλος|38|393622|229420;Ρόδος|85|364349|282176"),
        _streets("Οδός Ερμού, Λεωφόρος Κηφισίας, Πλατεία Ελευθερίας, Οδός Αγίου Νικολάου, Οδός Σωκράτους"),
        lambda street, number: f"{street} {number}",
        lambda start, number: f"{start}1 {number:02d}",
        Phones("30", ("69",), 8, (3, 3, 4)), "9990001", 16,
    ),
    Country(
        "AE", 6, "AED",
        _cities("العين|100|242075|557447;الشارقة|200|253463|554209;رأس الخيمة|300|258007|559762;الفجيرة|400|251288|563265"),
        _streets("شارع الشيخ زايد, شارع الوحدة, شارع الكورنيش, شارع المطار, شارع الاتحاد"),
        lambda street, number: f"{street} {number}",
        lambda start, number: f"{start}{number:02d}",
        Phones("971", ("50",), 7, (2, 3, 4)), "999", 16,
    ),
    Country(
        "CN", 6, "CNY",
        _cities("苏州市|2150|312989|1205853;桂林市|5410|252742|1102900;大理市|6710|256065|1002676;泉州市|3620|248741|1186757"),
        _streets("人民路, 解放东路, 中山北路, 学院路, 滨江大道"),
        lambda street, number: f"{street}{number}号",
        lambda start, number: f"{start}{number:02d}",
        Phones("86", ("138",), 8, (3, 4, 4)),
    ),
    Country(
        "JP", 6, "JPY",
        _cities("京都市|600|350116|1357681;札幌市|060|430618|1413545;高松市|760|343428|1340466;那覇市|900|262124|1276809"),
        _streets("丸の内, 桜木町, 大手通り, 本町, 緑が丘"),
        lambda street, number: f"{street}{number % 9 + 1}丁目{number}番地",
        lambda start, number: f"{start}-00{number:02d}",
        Phones("81", ("90",), 8, (2, 4, 4)),
    ),
    Country(
        "IN", 5, "INR",
        _cities("जयपुर|3020|269124|757873;वाराणसी|2210|253176|829739;इंदौर|4520|227196|758577;पुणे|4110|185204|738567"),
        _streets("महात्मा गांधी मार्ग, नेहरू नगर, स्टेशन रोड, लक्ष्मी बाज़ार, सिविल लाइंस"),
        lambda street, number: f"{street} {number}",
        lambda start, number: f"{start}{number:02d}",
        Phones("91", ("98",), 8, (5, 5)),
    ),
)  # fmt: skip
"""In the order of the simulation's country numbers."""

CODES = tuple(country.code for country in COUNTRIES)
CURRENCIES = tuple(country.currency for country in COUNTRIES)
