"""The payments pipeline through the whole loop, held against the truth that its generator wrote down."""

from __future__ import annotations

import base64
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clear_values import Search, encoded
from confluent_kafka import Consumer, KafkaError, TopicPartition
from deltalake import DeltaTable
from sklearn.metrics import roc_auc_score

from headrace.connections import Broker, Tracking, connect_tracking
from headrace.feed import feed
from headrace.feed.payments import PAYMENT_TOPICS, Payments, Simulation
from headrace.ingest.run import pipeline_ring, start_ingest
from headrace.lake.tables import read_accepted
from headrace.monitoring.quality import QualityLog
from headrace.serving.run import start_scoring
from headrace.spec import Pipeline, load
from headrace.stages.opened import opened
from headrace.training.run import Training, train

CONF = Path(__file__).parents[2] / "conf" / "payments"
CUSTOMERS, DEVICES, OUTCOMES, AUTHORIZATIONS = PAYMENT_TOPICS
CUT = datetime(2025, 1, 27, tzinfo=UTC)
HONEST = (0.75, 0.95)
"""AUC of a model from so few payments; docs/payments.md has the figures of more."""


@dataclass(frozen=True)
class Loop:
    """A small simulation, fed and ingested."""

    folder: Path
    pipeline: Pipeline
    environment: dict[str, str]
    broker: Broker
    tracking: Tracking
    truth: pd.DataFrame
    people: list[dict[str, Any]]
    faults: dict[str, dict[str, Any]]
    """Topic to the kinds of faults that are planted there."""

    tables: dict[str, pd.DataFrame]

    def table(self, stream: str) -> pd.DataFrame:
        """All rows of a stream's table, as deltalake reads them, by the record's name in the simulation.

        The column ``told`` has what was sent: its JSON, or None where there is none.
        """
        if stream not in self.tables:
            rows = DeltaTable(f"{self.folder}/lake/events/{stream}").to_pandas()
            sent = records_by_place(self.broker.bootstrap, self.pipeline.spec.streams[stream].topic)
            places = list(zip(rows["kafka_partition"], rows["kafka_offset"], strict=True))
            rows["told"] = [
                json.loads(sent[at][1]) if ok else None
                for at, ok in zip(places, rows["verdict"] == "accepted", strict=True)
            ]
            rows.index = pd.Index([sent[place][0] for place in places], name="record")
            self.tables[stream] = rows
        return self.tables[stream].copy()

    def accepted(self, stream: str) -> list[dict[str, Any]]:
        """The accepted rows without a planted fault."""
        rows = self.table(stream)
        right = (rows["verdict"] == "accepted") & self.truth.loc[rows.index, "fault"].isna()
        return rows[right].to_dict("records")


def records_by_place(bootstrap: str, topic: str) -> dict[tuple[int, int], tuple[str, bytes | None]]:
    """(partition, offset) to a record's name, which its header tells, and value; read by a plain consumer."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "truth", "enable.partition.eof": True})
    partitions = list(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: dict[tuple[int, int], tuple[str, bytes | None]] = {}
    ended = 0
    while ended < len(partitions):
        for message in consumer.consume(5_000, timeout=1):
            if message.error() is None:
                record = dict(message.headers())["record"].decode()
                found[message.partition(), message.offset()] = record, message.value()
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF
                ended += 1
    consumer.close()
    return found


@pytest.fixture(scope="module")
def loop(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """300 customers' January in Kafka and in the lake."""
    folder = tmp_path_factory.mktemp("payments")
    truth = tmp_path_factory.mktemp("truth")
    days = Simulation(date(2025, 1, 1), date(2025, 1, 31), customers=300)
    made = feed(Payments(days, truth=truth), bootstrap=bootstrap)
    rows = pd.concat(pq.read_table(file).to_pandas() for file in truth.glob("records-*.parquet")).set_index("record")
    assert made.records == len(rows)
    environment = {
        "HEADRACE_KAFKA": bootstrap, "HEADRACE_LAKE": str(folder / "lake"), "HEADRACE_KEYS": str(folder / "keys.json"),
    }  # fmt: skip
    conf = with_disputes(tmp_path_factory.mktemp("conf") / "payments", rows)
    pipeline = load(conf, environment)
    broker = Broker(bootstrap, {})
    quality = QualityLog(folder)
    start_ingest(
        spark, pipeline, broker=broker, until_caught_up=True, on_batch=quality.on_batch, on_close=quality.write
    ).wait()  # fmt: skip
    people = [json.loads(line) for line in (truth / "people.jsonl").read_text().splitlines()]
    faults = json.loads((truth / "simulation.json").read_text())["faults"]
    tracking = connect_tracking(pipeline, home=folder)
    return Loop(folder, pipeline, environment, broker, tracking, rows, people, faults, {})


def with_disputes(conf: Path, truth: pd.DataFrame) -> Path:
    """conf/payments with one more column, looked up in a table of disputes that was exported weeks later; no feature yet."""
    shutil.copytree(CONF, conf)
    payments = truth[truth["topic"] == AUTHORIZATIONS].drop_duplicates("id")
    lines = [f"{id_},{int(fraud)}" for id_, fraud in zip(payments["id"], payments["fraud"], strict=True)]
    (conf / "disputes.csv").write_text("\n".join(["payment_id,disputed", *lines]) + "\n")
    columns = "{payment_id: string, disputed: int}"
    insert(conf, "references:\n", f"  disputes: {{file: disputes.csv, key: payment_id, columns: {columns}}}\n")
    insert(conf, "    enrich:\n", "      - {reference: disputes, on: payment_id, columns: {disputed: disputed}}\n")
    return conf


def insert(conf: Path, after: str, line: str) -> None:
    """A line more in the pipeline file."""
    text = (conf / "pipeline.yaml").read_text()
    assert text.count(after) == 1
    (conf / "pipeline.yaml").write_text(text.replace(after, after + line))


@pytest.mark.parametrize("stream", ["authorizations", "outcomes", "devices", "customers"])
def test_every_record_gets_the_verdict_and_reasons_of_the_truth(loop: Loop, stream: str) -> None:
    topic = loop.pipeline.spec.streams[stream].topic
    expected = loop.truth[loop.truth["topic"] == topic]
    found = loop.table(stream)
    assert sorted(found.index) == sorted(expected.index)  # each once
    expected = expected.loc[found.index]
    said = [(verdict, list(reasons)) for verdict, reasons in zip(found["verdict"], found["failed_rules"], strict=True)]
    told = [(verdict, list(reasons)) for verdict, reasons in zip(expected["verdict"], expected["reasons"], strict=True)]
    wrong = [(fault, *pair) for fault, *pair in zip(expected["fault"], said, told, strict=True) if pair[0] != pair[1]]
    assert wrong == []
    assert {fault for fault in expected["fault"] if isinstance(fault, str)} == loop.faults[topic].keys()


def test_payments_that_were_sent_twice_are_in_the_table_twice_and_named_in_the_truth(loop: Loop) -> None:
    found = loop.table("authorizations")
    twice = found[found["payment_id"].notna()].groupby("payment_id").filter(lambda rows: len(rows) > 1)
    copies = loop.truth[loop.truth["duplicate"].notna()]
    assert set(twice.index) == set(copies.index) | set(copies["duplicate_of"])


@pytest.mark.parametrize(
    ("identifier", "columns"),
    [
        ("email", [("authorizations", "email"), ("devices", "login"), ("customers", "email")]),
        ("phone", [("authorizations", "phone"), ("customers", "phone")]),
        ("card", [("authorizations", "card_number")]),
    ],
)
def test_a_pseudonym_links_the_records_with_one_identifier_however_it_is_spelled(
    loop: Loop, identifier: str, columns: list[tuple[str, str]]
) -> None:
    owners: dict[str, set[str]] = {}
    spelled: dict[str, set[str]] = {}
    for stream, column in columns:
        for record, row in loop.table(stream).iterrows():
            expected = loop.truth.loc[record, identifier]
            if row["verdict"] == "accepted" and pd.notna(expected):
                owners.setdefault(expected, set()).add(row[column])
                spelled.setdefault(expected, set()).add(row["told"][column])
    assert len(owners) > 250
    assert sum(len(spellings) > 2 for spellings in spelled.values()) > 200
    assert all(len(pseudonyms) == 1 for pseudonyms in owners.values())  # no fewer
    assert len(set.union(*owners.values())) == len(owners)  # and no more
    assert all(pseudonym.startswith("v1.") for pseudonym in set.union(*owners.values()))


def test_what_is_generalized_masked_or_left_out_is_so_in_every_row(loop: Loop) -> None:
    for row in loop.accepted("authorizations"):
        told = row["told"]
        if told["ip"] is None:
            assert pd.isna(row["ip"])
        else:
            assert row["ip"] == str(ip_network(f"{told['ip']}/{48 if ':' in told['ip'] else 24}", strict=False))
        for name in ("latitude", "longitude"):
            assert pd.isna(row[name]) if told[name] is None else row[name] == told[name] // 0.5 * 0.5
        assert row["billing"].keys() == {"line", "postcode", "country"}
        assert row["billing"]["country"] == told["billing"]["country"]
        assert row["billing"]["postcode"] == told["billing"]["postcode"][:2]
    for row in loop.accepted("outcomes"):
        card = row["told"]["card_number"].strip()
        assert row["card_number"] == "*" * (len(card) - 4) + card[-4:]
    for row in loop.accepted("customers"):
        told = row["told"]
        assert row["birth_date"] == int(told["birth_date"][:4])
        assert row["address"].keys() == {"line", "postcode", "country"}
        domain = told["email"].lower().partition("@")[2]
        assert [dict(contact) for contact in row["contacts"]] == [
            {"kind": "email", "value": f"***@{domain}"}, {"kind": "phone", "value": "***"},
        ]  # fmt: skip
        masked = told["iban"] and "*" * (len(told["iban"]) - 4) + told["iban"][-4:]
        assert (row["iban"] if pd.notna(row["iban"]) else None) == masked


def test_free_text_is_written_without_the_identifiers_in_it(loop: Loop) -> None:
    people = {person["person"]: person for person in loop.people}
    kinds: Counter[str] = Counter()
    for stream, column in (("authorizations", "note"), ("customers", "remark")):
        for row in loop.accepted(stream):
            told, person = row["told"], people[row["told"]["customer_id"]]
            if told[column] is None:
                assert pd.isna(row[column])
                continue
            expected = told[column]
            found = {"email": person["email"], "iban": [person["iban"] or "none"]}
            found |= {kind: [text for one in person[f"{kind}s"] for text in one] for kind in ("phone", "card")}
            for kind, values in found.items():
                for value in sorted(values, key=len, reverse=True):
                    kinds[kind] += value.strip() in expected
                    expected = expected.replace(value.strip(), f"[{kind}]")
            assert row[column] == expected
    assert min(kinds.values()) > 10


def test_who_holds_the_keys_reads_the_names(spark, loop: Loop) -> None:
    ring = pipeline_ring(loop.pipeline)
    rows = read_accepted(spark, f"{loop.folder}/lake/events/customers")
    clear = opened(rows, stream=loop.pipeline.spec.streams["customers"], paths=["name", "address.line"], ring=ring)
    names = {
        (row["kafka_partition"], row["kafka_offset"]): (row["name"], row["line"])
        for row in clear.select("*", "address.line").collect()
    }
    for row in loop.table("customers").to_dict("records"):
        if row["verdict"] == "accepted":
            place = row["kafka_partition"], row["kafka_offset"]
            assert names[place] == (row["told"]["name"], row["told"]["address"]["line"])


@pytest.fixture(scope="module")
def trained(spark, loop: Loop) -> Training:
    """A model of what was known before CUT."""
    return train(spark, loop.pipeline, tracking=loop.tracking, as_of=CUT)


def test_the_model_passes_the_gate_and_is_as_good_as_an_honest_one(trained: Training) -> None:
    assert trained.promoted, trained.verdict.refusals
    assert HONEST[0] < trained.metrics["auc"] < HONEST[1]
    assert trained.excluded.keys() == {"outcome_not_known"}


def test_a_row_is_labelled_with_the_newest_outcome_that_was_told_before_the_cut(loop: Loop, trained: Training) -> None:
    told = loop.table("outcomes")
    told = told[(told["verdict"] == "accepted") & (told["known_at"] < CUT)].sort_values("known_at")
    newest = told.groupby("payment_id").last()
    snapshot = DeltaTable(f"{loop.folder}/lake/snapshots/{trained.run_id}").to_pandas().set_index("id")
    assert (snapshot["label"] == (newest["outcome"] == "chargeback").loc[snapshot.index]).all()
    asked = loop.table("authorizations")
    asked = set(asked.loc[(asked["verdict"] == "accepted") & (asked["known_at"] < CUT), "payment_id"])
    assert set(snapshot.index) == asked & set(newest.index)
    truth = (
        loop.truth[loop.truth["topic"] == AUTHORIZATIONS]
        .drop_duplicates("id")
        .set_index("id")["fraud"]
        .loc[snapshot.index]
    )
    assert 0.97 < (truth == (snapshot["label"] == 1)).mean() < 1  # some are corrected after the cut


def test_features_see_what_was_known_when_the_payment_was_authorized(loop: Loop, trained: Training) -> None:
    """Against plain loops over what the truth says was told, and when."""
    snapshot = DeltaTable(f"{loop.folder}/lake/snapshots/{trained.run_id}").to_pandas().set_index("id")
    paid, devices = loop.table("authorizations"), loop.table("devices")
    paid["person"], devices["person"] = loop.truth["person"].loc[paid.index], loop.truth["person"].loc[devices.index]
    paid, devices = paid[paid["verdict"] == "accepted"], devices[devices["verdict"] == "accepted"]
    hour, three = pd.Timedelta("1h"), pd.Timedelta("3h")
    for _, row in (
        paid[paid["payment_id"].isin(snapshot.index)]
        .drop_duplicates("payment_id")
        .sample(150, random_state=1)
        .iterrows()
    ):
        at, got = snapshot.loc[row["payment_id"], "at"], snapshot.loc[row["payment_id"]]
        own = paid[(paid["person"] == row["person"]) & (paid["known_at"] > at - hour) & (paid["known_at"] < at)]
        assert got["payments_1h"] == len(own)
        assert got["amount_1h"] == pytest.approx(float(own["amount"].sum(min_count=1)), nan_ok=True)
        failed = devices[(devices["person"] == row["person"]) & (devices["kind"] == "login_failed")]
        assert got["failed_logins_3h"] == ((failed["known_at"] > at - three) & (failed["known_at"] <= at)).sum()


@pytest.fixture(scope="module")
def scored(spark, loop: Loop, trained: Training) -> pd.DataFrame:
    """What live scoring answered to the payments since CUT."""
    scoring = start_scoring(
        spark, loop.pipeline, broker=loop.broker, tracking=loop.tracking, until_caught_up=True, starting_at=CUT
    )  # fmt: skip
    scoring.run()
    return DeltaTable(f"{loop.folder}/lake/serving/payments-fraud/predictions").to_pandas()


def test_live_scoring_answers_each_payment_once_and_as_well_as_promised(loop: Loop, scored: pd.DataFrame) -> None:
    asked = loop.truth[(loop.truth["topic"] == AUTHORIZATIONS) & (loop.truth["verdict"] == "accepted")]
    asked = asked[asked["sent_at"] >= CUT]
    assert sorted(scored["id"]) == sorted(set(asked["id"]))
    fraud = asked.drop_duplicates("id").set_index("id")["fraud"].astype(int)
    assert HONEST[0] < roc_auc_score(fraud.loc[scored["id"]], scored["probability"]) < HONEST[1]


def test_a_planted_leak_is_refused(spark, loop: Loop, trained: Training, tmp_path: Path) -> None:
    """The column that knows the outcome becomes a feature."""
    shutil.copytree(loop.pipeline.folder, tmp_path / "leaking")
    insert(tmp_path / "leaking", "    amount: amount\n", "    disputed: disputed\n")
    leaking = load(tmp_path / "leaking", loop.environment)
    done = train(spark, leaking, tracking=loop.tracking, as_of=CUT)
    assert not done.promoted
    assert done.metrics["auc"] > 0.95
    assert "a feature is likely to know the outcome" in done.verdict.refusals


def clear_values(people: list[dict[str, Any]]) -> set[str]:
    """Everything about the people that nobody may read: with each spelling of it."""
    found: set[str] = set()
    for person in people:
        found |= {person["name"], *person["email"], *(line["line"] for line in person["addresses"])}
        found |= {text for spellings in (*person["phones"], *person["cards"]) for text in spellings}
        if person["iban"]:
            found |= {person["iban"], " ".join(person["iban"][n : n + 4] for n in range(0, len(person["iban"]), 4))}
    return {value for value in found if len(value.encode()) >= 8}


def test_nothing_clear_about_anybody_is_in_any_file(loop: Loop, trained: Training, scored: pd.DataFrame) -> None:
    """After ingest, training and scoring: tables, logs, checkpoints, results, models."""
    values = clear_values(loop.people)
    assert len(values) > 300 * 20
    assert {path.suffix for path in loop.folder.rglob("*") if path.is_file()} >= {
        ".parquet",
        ".json",
        ".html",
        ".db",
        ".ubj",
    }
    assert Search(values).below(loop.folder) == {}


def test_the_search_finds_what_is_planted(loop: Loop, tmp_path: Path) -> None:
    search = Search(clear_values(loop.people))
    person = next(one for one in loop.people if one["script"] == "Greek")
    name, mail, card = person["name"], person["email"][0], person["cards"][1][2]
    for number, value in enumerate((name, mail, card)):
        for place, form in enumerate(sorted(encoded(value))):
            (tmp_path / f"{number}-{place}.bin").write_bytes(b"before" + form + b"after")
        coded = base64.b64encode(f"x{value} and more".encode())
        (tmp_path / f"{number}-base64.txt").write_bytes(b"log line " + coded)
        rows = pa.table({"a": ["nobody", value] * 500, "n": range(1000), "raw": [f"<{value}>".encode()] * 1000})
        pq.write_table(rows.select(["a", "n"]), tmp_path / f"{number}-text.parquet", compression="zstd")
        pq.write_table(
            rows.select(["raw", "n"]), tmp_path / f"{number}-raw.parquet", compression="snappy", write_statistics=False
        )
        nested = pa.table({"contacts": [[{"kind": "x", "value": value}]] * 10})
        pq.write_table(nested, tmp_path / f"{number}-nested.parquet", compression="gzip", use_dictionary=False)
    (tmp_path / "clean.txt").write_text("Ελένη, eleni@example.org, 4242")
    found = search.below(tmp_path)
    assert set(found) == {path.name for path in tmp_path.iterdir()} - {"clean.txt"}
    assert all(len(values) == 1 for values in found.values())
