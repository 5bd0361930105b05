"""The simulated payments against their own truth, read independently: plain JSON, hand-made check digits, Unicode's names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from headrace.errors import HeadraceError
from headrace.feed import Record
from headrace.feed.payments import PAYMENT_TOPICS, Payments, Simulation
from headrace.feed.payments.draw import Draws
from headrace.feed.payments.identifiers import card_number, iban, luhn, phone_spellings
from headrace.feed.payments.merchants import reference_csv
from headrace.feed.payments.places import COUNTRIES
from headrace.feed.produce import Produced

ROOT = Path(__file__).parents[2]
CUSTOMERS, DEVICES, OUTCOMES, AUTHORIZATIONS = PAYMENT_TOPICS
DAYS = {"start": date(2025, 1, 1), "end": date(2025, 1, 31)}
GOLDEN = "77ad321161b4819cfeba376a4cab22c9390240c145732dd1b51b7efdd2aa5881"


class Told:
    """A simulation's records, and the truth as it was written beside them."""

    def __init__(self, folder: Path, simulation: Simulation) -> None:
        source = Payments(simulation, truth=folder)
        self.records = list(source.records())
        source.sent(Produced(Counter(r.topic for r in self.records), None, None, 0.0, complete=True))
        self.truth = pd.concat(pq.read_table(file).to_pandas() for file in folder.glob("records-*.parquet"))
        self.truth = self.truth.set_index("record", verify_integrity=True)
        self.rows = self.truth.to_dict("index")
        self.people = [json.loads(line) for line in (folder / "people.jsonl").read_text().splitlines()]
        self.simulation = json.loads((folder / "simulation.json").read_text())
        self.size = source.size

    def right(self, topic: str) -> dict[str, dict]:
        """What every record without a fault says, by its name."""
        names = set(self.truth.index[(self.truth["topic"] == topic) & self.truth["fault"].isna()])
        return {name(r): json.loads(r.value) for r in self.records if r.topic == topic and name(r) in names}


def name(record: Record) -> str:
    return dict(record.headers)["record"].decode()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("truth"), Simulation(**DAYS, customers=400))


def simulated(start: str, end: str, **options: int) -> list[Record]:
    days = Simulation(date.fromisoformat(start), date.fromisoformat(end), **options)
    return list(Payments(days, truth=None).records())


def digest(records: Iterable[Record]) -> str:
    found = hashlib.sha256()
    for record in records:
        found.update(repr(tuple(record)).encode())
    return found.hexdigest()


def test_a_seed_gives_these_very_bytes_on_every_machine() -> None:
    assert digest(simulated("2025-01-01", "2025-01-04", customers=60)) == GOLDEN


def test_neither_the_hash_seed_nor_the_locale_changes_anything() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/unit'); from test_payments_feed import digest, simulated\n"
        "print(digest(simulated('2025-02-27', '2025-03-02', customers=30)))"
    )
    found = set()
    for seed, zone, language in (("0", "UTC", "C"), ("4711", "Asia/Tokyo", "C.UTF-8")):
        settings = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=True
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


def test_another_seed_gives_other_people_and_payments() -> None:
    first, second = (simulated("2025-01-01", "2025-01-02", customers=50, seed=seed) for seed in (7, 8))
    assert not {r.value for r in first if r.value} & {r.value for r in second}


def test_a_range_and_the_next_are_the_range_of_both() -> None:
    both = simulated("2025-02-26", "2025-03-03", customers=80)
    parts = simulated("2025-02-26", "2025-02-28", customers=80) + simulated("2025-03-01", "2025-03-03", customers=80)
    assert parts == both


def test_a_smaller_simulation_has_the_first_customers_of_a_larger_one(told: Told, tmp_path: Path) -> None:
    fewer = Told(tmp_path, Simulation(date(2025, 1, 1), date(2025, 1, 1), customers=37))
    assert fewer.people == told.people[:37]


def test_records_come_in_the_order_of_sending_and_requests_last_of_an_instant(told: Told) -> None:
    order = [(record.sent_at, PAYMENT_TOPICS.index(record.topic)) for record in told.records]
    assert order == sorted(order)


def test_every_record_is_in_the_truth_once_and_nothing_else_is(told: Told) -> None:
    names = [name(record) for record in told.records]
    assert len(set(names)) == len(names)
    assert set(names) == set(told.truth.index)
    for record in told.records:
        row = told.rows[name(record)]
        assert (row["topic"], row["person"]) == (record.topic, record.key.decode())
        assert int(row["sent_at"].timestamp() * 1000) == record.sent_at
    assert 0.6 < len(names) / told.size < 1.4


def test_the_truth_says_when_a_payment_happened_and_how_late_it_was_told(told: Told) -> None:
    late = Counter()
    for record, value in told.right(AUTHORIZATIONS).items():
        row = told.rows[record]
        at, received = (datetime.fromisoformat(value[key]) for key in ("authorized_at", "received_at"))
        assert row["at"].to_pydatetime() == at
        if row["duplicate"] != "exact":
            assert row["lateness_ms"] == round((received - at).total_seconds() * 1000)
        hours = row["lateness_ms"] / 3_600_000
        late["at once" if hours < 1 / 3600 else "late" if hours <= 31 else "too late"] += 1
        assert hours < 1 / 3600 or value["channel"] == "in_store" or row["duplicate"]
    assert late["too late"] == 0
    assert 20 < late["late"] < 0.02 * late["at once"]


def test_copies_are_what_the_truth_says(told: Told) -> None:
    values = {name(record): record for record in told.records}
    copies = told.truth[told.truth["duplicate"].notna()]
    assert Counter(copies["duplicate"]).keys() == {"exact", "near"}
    assert len(copies) > 40
    for record, row in copies.iterrows():
        first, again = values[row["duplicate_of"]], values[record]
        assert first.sent_at < again.sent_at
        assert first.key == again.key
        assert (row["duplicate"] == "exact") == (first.value == again.value)
        assert json.loads(first.value)["payment_id"] == json.loads(again.value)["payment_id"] == row["id"]
        assert json.loads(again.value)["attempt"] == (1 if row["duplicate"] == "exact" else 2)
    others = told.truth[(told.truth["topic"] == AUTHORIZATIONS) & told.truth["duplicate"].isna()]
    assert others["id"].is_unique


def test_every_kind_of_fault_is_planted_and_only_where_the_truth_says(told: Told) -> None:
    planted = told.truth[told.truth["fault"].notna()]
    for topic, kinds in told.simulation["faults"].items():
        here = planted[planted["topic"] == topic]
        assert set(here["fault"]) == set(kinds), topic
        for kind, expected in kinds.items():
            rows = here[here["fault"] == kind]
            assert {row["verdict"] for _, row in rows.iterrows()} == {expected["verdict"]}
            assert {tuple(row["reasons"]) for _, row in rows.iterrows()} == {tuple(expected["reasons"])}
    assert planted["duplicate"].isna().all()
    right = told.truth[told.truth["fault"].isna()]
    assert set(right["verdict"]) == {"accepted"}
    assert not right["reasons"].map(len).any()
    schemas = {
        topic: ROOT / "conf" / "payments" / "schemas" / f"{topic.split('.')[1]}.json" for topic in PAYMENT_TOPICS
    }
    for topic, schema in schemas.items():
        fields = [field["name"] for field in json.loads(schema.read_text())["fields"]]
        assert {tuple(value) for value in told.right(topic).values()} == {tuple(fields)}


def test_the_label_is_the_newest_outcome(told: Told) -> None:
    truth = told.truth[(told.truth["topic"] == AUTHORIZATIONS) & told.truth["duplicate"].isna()].set_index("id")
    settled_long_ago = set(truth.index[truth["at"] < "2025-01-15"])  # whatever is said of them was said by 30 January
    spoiled = set(told.truth.loc[(told.truth["topic"] == OUTCOMES) & told.truth["fault"].notna(), "id"])
    words: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for value in told.right(OUTCOMES).values():
        if value["payment_id"] in settled_long_ago - spoiled:
            words[value["payment_id"]].append((value["decided_at"], value["outcome"]))
    assert len(words) > 0.9 * len(settled_long_ago)
    for payment, said in words.items():
        assert (max(said)[1] == "chargeback") == truth.loc[payment, "fraud"]
    corrected = [said for said in words.values() if len(said) == 2]
    assert {(min(said)[1], max(said)[1]) for said in corrected} == {
        ("settled", "chargeback"),
        ("chargeback", "settled"),
    }
    assert 0.04 < truth["fraud"].mean() < 0.09
    assert (truth["fraud"] == truth["pattern"].notna()).all()
    assert set(truth["pattern"].dropna()) == {"card_testing", "takeover", "stolen_card", "rogue_merchant", "disputed"}


def test_outcomes_come_one_to_eight_days_later_whatever_they_say(told: Told) -> None:
    paid = {value["payment_id"]: value["authorized_at"] for value in told.right(AUTHORIZATIONS).values()}
    waits: dict[str, list[float]] = defaultdict(list)
    for record, value in told.right(OUTCOMES).items():
        if value["payment_id"] in paid and not record.endswith("-2") and paid[value["payment_id"]] < "2025-01-20":
            wait = datetime.fromisoformat(value["decided_at"]) - datetime.fromisoformat(paid[value["payment_id"]])
            waits[value["outcome"]].append(wait.total_seconds() / 86400)
    assert all(1 <= wait <= 8 for found in waits.values() for wait in found)
    assert np.mean(waits["settled"]) == pytest.approx(np.mean(waits["chargeback"]), abs=0.5)


SCRIPTS = {
    "Latin": {"LATIN"}, "Cyrillic": {"CYRILLIC"}, "Greek": {"GREEK"}, "Arabic": {"ARABIC"}, "Han": {"CJK"},
    "Japanese": {"CJK", "HIRAGANA", "KATAKANA"}, "Devanagari": {"DEVANAGARI"},
}  # fmt: skip


def test_names_are_in_the_script_that_the_truth_says_and_all_seven_occur(told: Told) -> None:
    for person in told.people:
        letters = {unicodedata.name(c).split()[0] for c in person["name"] if unicodedata.category(c)[0] in "LM"}
        assert letters <= SCRIPTS[person["script"]], person["name"]
        assert not set(person["name"]) & set('"\\')
    assert {person["script"] for person in told.people} == set(SCRIPTS)


def test_check_digits_are_those_of_the_standards() -> None:
    assert luhn("7992739871") == "3"  # ISO/IEC 7812's usual example
    assert card_number(0, 424242424) == "4242424242424242"  # the networks' own test card
    assert iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"  # the examples of the IBAN registry
    assert iban("DE", "370400440532013000") == "DE89370400440532013000"
    assert iban("FR", "20041010050500013M02606") == "FR1420041010050500013M02606"


def test_every_number_of_everybody_is_right(told: Told) -> None:
    lengths = {"FR": 27, "DE": 22, "GB": 22, "RS": 22, "GR": 27, "AE": 23}
    for person in told.people:
        for card in person["cards"]:
            doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(card[0]))]
            assert sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
        country = person["addresses"][0]["country"]
        if country in lengths:
            assert len(person["iban"]) == lengths[country]
            moved = person["iban"][4:] + person["iban"][:4]
            assert int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
        else:
            assert person["iban"] is None


def test_four_spellings_are_one_identifier_and_no_two_people_share_one(told: Told) -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for person in told.people:
        for spellings in person["phones"]:
            assert len(set(spellings)) == 4
            assert {_e164(text) for text in spellings} == {spellings[0]}
            owners[spellings[0]].add(person["person"])
        for spellings in person["cards"]:
            assert {re.sub("[ -]", "", text) for text in spellings} == {spellings[0]}
            owners[spellings[0]].add(person["person"])
        assert {text.strip().lower() for text in person["email"]} == {person["email"][0]}
        owners[person["email"][0]].add(person["person"])
    assert len(owners) == len(told.people) * 5
    assert all(len(people) == 1 for people in owners.values())


def _e164(text: str) -> str:
    """A number's normal form, read in France, where the shop is."""
    digits = re.sub("[^0-9+]", "", text)
    if digits.startswith("+"):
        return digits
    return f"+{digits[2:]}" if digits.startswith("00") else f"+33{digits.removeprefix('0')}"


@pytest.mark.parametrize(
    ("country", "national", "written"),
    [
        ("FR", "639980123", ("+33639980123", "+33 6 39 98 01 23", "0033639980123", "06 39 98 01 23")),
        ("US", "2125550123", ("+12125550123", "+1 212 555 0123", "0012125550123", "+1 (212) 555-0123")),
        ("GB", "7700900123", ("+447700900123", "+44 7700 900123", "00447700900123", "+44 (7700) 900123")),
    ],
)
def test_numbers_are_written_as_people_write_them(country: str, national: str, written: tuple[str, ...]) -> None:
    phones = next(each.phones for each in COUNTRIES if each.code == country)
    assert phone_spellings(national, phones=phones) == written


def test_the_truth_says_whose_identifiers_a_record_holds(told: Told) -> None:
    people = {person["person"]: person for person in told.people}
    spelled: Counter[str] = Counter()
    for record, value in told.right(AUTHORIZATIONS).items():
        row, person = told.rows[record], people[value["customer_id"]]
        assert row["id"] == value["payment_id"]
        assert value["cardholder"] == value["billing"]["name"] == person["name"]
        assert value["email"] in person["email"]
        assert row["email"] == person["email"][0]
        (phone,) = [spellings for spellings in person["phones"] if value["phone"] in spellings]
        (card,) = [spellings for spellings in person["cards"] if value["card_number"] in spellings]
        assert (row["phone"], row["card"]) == (phone[0], card[0])
        moved = person["moved_at"] is not None and value["authorized_at"] >= person["moved_at"].replace("+00:00", "Z")
        assert phone == person["phones"][moved]
        assert value["billing"]["line"] == person["addresses"][moved]["line"]
        spelled[f"phone {phone.index(value['phone'])}"] += 1
        spelled[f"card {card.index(value['card_number'])}"] += 1
        spelled[f"email {person['email'].index(value['email'])}"] += 1
        spelled["moved"] += moved
    assert len(spelled) == 13
    assert min(spelled.values()) > 30


def test_the_merchants_file_is_the_simulations(told: Told) -> None:
    file = ROOT / "conf" / "payments" / "merchants.csv"
    assert file.read_text() == reference_csv()
    rows = {line.split(",")[0]: line.split(",") for line in file.read_text().splitlines()[1:]}
    for value in told.right(AUTHORIZATIONS).values():
        _, _, country, online, _ = rows[value["merchant_id"]]
        assert country == value["country"]
        assert (online == "1") == (value["channel"] != "in_store")


@pytest.fixture(scope="module")
def fortnights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """A fortnight of payments of each regime, by its name."""
    found = {}
    for regime, month in (("steady", 2), ("covariate", 3), ("prior", 5), ("concept", 7)):
        days = Simulation(date(2025, month, 8), date(2025, month, 21), customers=600)
        told = Told(tmp_path_factory.mktemp(regime), days)
        values = told.right(AUTHORIZATIONS)
        truth = told.truth.loc[list(values)]
        assert set(truth["regime"]) == {regime}
        found[regime] = pd.DataFrame.from_dict(values, orient="index").assign(fraud=truth["fraud"].astype(bool))
    return found


def test_drift_is_of_its_kind_and_of_no_other(fortnights: dict[str, pd.DataFrame]) -> None:
    measured = {}
    for regime, rows in fortnights.items():
        honest, thefts = rows[~rows["fraud"]], rows[rows["fraud"]]
        strange = thefts["device_id"].notna() & ~thefts["device_id"].isin(set(honest["device_id"]))
        spent = honest.loc[honest["channel"] == "in_store", "amount"].median()
        measured[regime] = (honest["channel"] == "app").mean(), spent, rows["fraud"].mean(), strange.mean()
    app, spent, fraud, strange = measured["steady"]

    def like(value: float) -> object:
        return pytest.approx(value, rel=0.2)

    assert measured["covariate"] == (like(3.5 * app), like(1.3 * spent), like(fraud), like(strange))
    assert measured["prior"] == (like(app), like(spent), like(2 * fraud), like(strange))
    assert measured["concept"][:3] == (like(app), like(spent), like(fraud))
    assert measured["concept"][3] < 0.2 * strange


def test_the_schedule_is_told(told: Told) -> None:
    regimes = [(regime["first"], regime["name"]) for regime in told.simulation["regimes"]]
    assert regimes == [
        ("2025-01-01", "steady"), ("2025-03-01", "covariate"), ("2025-04-01", "steady"), ("2025-05-01", "prior"),
        ("2025-06-01", "steady"), ("2025-07-01", "concept"), ("2025-09-01", "steady"),
    ]  # fmt: skip


def test_a_feed_that_was_stopped_leaves_the_truth_of_what_it_sent(tmp_path: Path) -> None:
    source = Payments(Simulation(date(2025, 1, 1), date(2025, 1, 4), customers=50), truth=tmp_path)
    records = list(source.records())
    last = records[len(records) // 2].sent_at
    sent = [record for record in records if record.sent_at <= last]
    until = datetime.fromtimestamp(last / 1000, tz=UTC)
    source.sent(Produced(Counter(r.topic for r in sent), None, until, 0.0, complete=False))
    (file,) = tmp_path.glob("records-*")
    assert file.name == "records-2025-01-01-2025-01-04.parquet"
    assert set(pq.read_table(file).column("record").to_pylist()) == {name(record) for record in sent}


def test_a_folder_with_the_truth_of_another_simulation_is_refused(tmp_path: Path) -> None:
    days = (date(2025, 1, 1), date(2025, 1, 1))
    Told(tmp_path, Simulation(*days, customers=20))
    with pytest.raises(HeadraceError, match=r"another simulation .* another folder with --truth"):
        list(Payments(Simulation(*days, customers=21), truth=tmp_path).records())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": date(2024, 12, 31), "end": date(2025, 1, 3)}, "choose from 2025-01-01 to 2025-12-31"),
        ({"start": date(2025, 1, 3), "end": date(2025, 1, 2)}, "the first one first"),
        ({**DAYS, "customers": 0}, "choose from 1 to 100,000"),
        ({**DAYS, "customers": 100_001}, "choose from 1 to 100,000"),
    ],
)
def test_what_can_not_be_simulated_is_refused(options: dict, said: str) -> None:
    with pytest.raises(HeadraceError, match=said):
        Simulation(**options)


def test_chance_is_even_and_does_not_depend_on_how_it_is_asked_for() -> None:
    draws, index = Draws(7), np.arange(100_000)
    dice = draws.below("dice", index, 6)
    assert Counter(dice.tolist()).keys() == set(range(6))
    assert all(abs(count - 100_000 / 6) < 500 for count in Counter(dice.tolist()).values())  # four standard deviations
    assert (draws.below("dice", index[::-1][:10], 6) == dice[::-1][:10]).all()
    assert abs(np.corrcoef(dice, draws.below("other dice", index, 6))[0, 1]) < 0.02
    assert draws.share("share", index).mean() == pytest.approx(0.5, abs=0.005)
