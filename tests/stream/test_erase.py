"""A person is erased: every row, every file, whatever the spelling and the key; everybody else stays, and it adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from customers import customer
from deltalake import DeltaTable
from pipelines import send
from shop import GONE, SHE, Shop, headrace
from told import declare_lineage, named, told_by

from headrace.audit import audit_stream
from headrace.connections import Broker
from headrace.erasure.find import person_named
from headrace.errors import AccountingError
from headrace.features.table import build_features
from headrace.lake import delta


@pytest.fixture(scope="module")
def shop(spark, shopped: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """With files of old versions: its table was compacted."""
    shop = shopped.copy(tmp_path_factory.mktemp("shop") / "p")
    spark.sql(f"OPTIMIZE {delta.identifier(str(shop.table()))}")
    build_features(spark, shop.pipeline)
    return shop


class Died(Exception): ...


def test_the_lake_holds_her_in_every_way(shop: Shop) -> None:
    """The search is shown to find what is there, in files that no version needs, too."""
    rows = shop.rows()
    assert {offset: rows[offset]["verdict"] for offset in GONE["customers"]} == {
        3: "accepted", 5: "duplicate", 6: "quarantined", 8: "quarantined", 9: "accepted", 11: "quarantined",
    }  # fmt: skip
    assert rows[3]["email"] == shop.pseudonyms("pseudonym/email", "canary3@example.org", 1)[0]
    assert rows[9]["email"] == shop.pseudonyms("pseudonym/email", "canary3@example.org", 2)[1]
    leaks = shop.leaks()
    current = {str(Path(uri).relative_to(shop.lake)) for uri in DeltaTable(str(shop.table())).file_uris()}
    assert leaks & current
    assert {file for file in leaks if file.endswith(".parquet") and "customers" in file} - current


def features_of_her(shop: Shop) -> bool:
    """Whether a table of features has a row of hers, whose id is her pseudonym."""
    table = shop.lake / "features" / "customers"
    hers = shop.pseudonyms("pseudonym/email", "canary3@example.org", 1) + shop.pseudonyms(
        "pseudonym/email", "canary3@example.org", 2
    )
    return table.exists() and bool({*DeltaTable(str(table)).to_pyarrow_table().column("id").to_pylist()} & {*hers})


@pytest.fixture(scope="module")
def erased(spark, shop: Shop):
    """A dry run; a first attempt that dies when it has planned; then the command, beside an ingest, which carries it out."""
    test_the_lake_holds_her_in_every_way(shop)
    assert features_of_her(shop)
    before = {stream: shop.rows(stream) for stream in GONE}
    (shop.folder / "person.txt").write_text(f"{SHE}\n")
    events = declare_lineage(shop.folder)
    options = ["erase", str(shop.folder), "--subject-file", str(shop.folder / "person.txt"), "--json"]
    dry = headrace(*options, "--dry-run")
    assert {stream: shop.rows(stream) for stream in GONE} == before

    def die(step: str) -> None:
        if step == "planned":
            raise Died

    with pytest.raises(Died):
        shop.eraser(spark, on_step=die).erase(person_named(shop.pipeline, SHE, kind=None))
    job = shop.ingest(spark, wait=False, trigger_seconds=5)
    try:
        told = json.loads(headrace(*options))
    finally:
        job.close()
    assert list((shop.lake / "errands").iterdir()) == []
    (record,) = told["records"]
    *_, (begun, ended) = told_by(events, "erase")
    assert (begun["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert {str(shop.table(stream)) for stream in GONE} <= named(ended["outputs"]).keys()
    assert not any(needle in str([begun, ended]) for needle in shop.needles if isinstance(needle, str))
    return before, json.loads(dry), record


def test_her_rows_go_and_nobody_elses(shop: Shop, erased) -> None:
    before, _, _ = erased
    for stream, gone in GONE.items():
        assert shop.rows(stream) == {offset: row for offset, row in before[stream].items() if offset not in gone}


def test_the_dry_run_told_what_went(erased) -> None:
    _, dry, done = erased
    rows = {"accepted": 2, "duplicate": 1, "quarantined": 3}
    assert dry["tables"]["events/customers"]["rows"] == done["rows"]["events/customers"] == rows
    assert dry["tables"]["events/outcomes"]["rows"] == done["rows"]["events/outcomes"] == {"accepted": 1}
    assert dry["identifiers"] == done["identifiers"] == {"card": 1, "email": 1}
    assert any("for ever" in sentence for sentence in done["left"])


def test_no_byte_of_the_lake_holds_her(shop: Shop, erased) -> None:
    assert shop.leaks() == set()


def test_no_old_version_gives_her_back(shop: Shop, erased) -> None:
    for stream, gone in GONE.items():
        for version in range(DeltaTable(str(shop.table(stream))).version() + 1):
            try:
                found = shop.rows(stream, version)
            except (OSError, FileNotFoundError):
                continue
            assert not gone & found.keys()


def test_it_adds_up(shop: Shop, erased) -> None:
    assert shop.audited().erased == 6
    assert shop.audited("outcomes").erased == 1


def test_a_wrong_number_in_the_commit_is_found(spark, shop: Shop, erased, tmp_path: Path) -> None:
    """The fault is planted: a commit that says it erased one row and takes two."""
    copy = shop.copy(tmp_path / "p")
    session = spark.newSession()
    session.conf.set(
        "spark.databricks.delta.commitInfo.userMetadata", json.dumps({"headrace": "erase", "rows": {"accepted": 1}})
    )
    session.sql(f"DELETE FROM {delta.identifier(str(copy.table()))} WHERE kafka_offset IN (0, 1)")
    account = audit_stream(copy.pipeline, "customers", broker=Broker(shop.bootstrap, {}))
    assert [finding.kind for finding in account.findings] == ["commit"]


def test_the_record_is_signed_and_says_nothing_of_her(shop: Shop, erased) -> None:
    (file,) = (shop.lake / "access" / "erasures").glob("*.json")
    text = file.read_text()
    for value in ("canary3", "Canary3", *(needle.decode() for needle in shop.needles if needle.isascii())):
        assert value not in text
    told = json.loads(headrace("erasures", str(shop.folder), "--json"))
    assert (told["state"], told["signature"], told["id"]) == ("done", "holds", erased[2]["id"])
    file.write_text(text.replace('"accepted": 2', '"accepted": 1'))
    try:
        with pytest.raises(AccountingError, match="does not hold"):
            headrace("erasures", str(shop.folder))
    finally:
        file.write_text(text)


@pytest.mark.parametrize("damage", ["empty", "cut", "begun"])
def test_a_damaged_record_is_named_and_nothing_is_erased(spark, shop: Shop, erased, damage: str) -> None:
    folder = shop.lake / "access" / "erasures"
    (whole,) = folder.glob("*.json")
    told = json.loads(whole.read_text())
    changed = json.dumps({**told, "state": "begun", "id": "broken"})  # as if somebody had planned to take rows out
    broken, rows = folder / "broken.json", shop.rows()
    broken.write_text({"empty": "", "cut": whole.read_text()[:-30], "begun": changed}[damage])
    try:
        with pytest.raises(AccountingError, match=r"\(broken(.json)?\); restore"):
            headrace("erasures", str(shop.folder))
        with pytest.raises(AccountingError, match=r"no records of erasures.*\(broken.json\); restore"):
            shop.eraser(spark).erase(person_named(shop.pipeline, "canary4@example.org", kind="email"))
    finally:
        broken.unlink()
    assert shop.rows() == rows
    assert headrace("erasures", str(shop.folder)).count("signature: holds") == 1


def test_no_commit_names_her(shop: Shop, erased) -> None:
    for file in shop.lake.rglob("_delta_log/*.json"):
        assert "canary3" not in file.read_text().lower()


def test_a_second_time_finds_nothing_and_changes_nothing(spark, shop: Shop, erased) -> None:
    files = {stream: DeltaTable(str(shop.table(stream))).file_uris() for stream in GONE}
    pipeline = shop.pipeline
    assert shop.eraser(spark).erase(person_named(pipeline, SHE, kind=None)) == []
    assert {stream: DeltaTable(str(shop.table(stream))).file_uris() for stream in GONE} == files


def test_the_features_go_and_can_be_built_without_her(spark, shop: Shop, erased) -> None:
    assert not (shop.lake / "features" / "customers").exists()
    assert build_features(spark, shop.pipeline).requests > 0
    assert not features_of_her(shop)


def test_ingest_goes_on_after_it(spark, shop: Shop, erased) -> None:
    send(shop.bootstrap, "shop", [customer(7)])
    shop.ingest(spark)
    assert sorted(shop.rows()) == sorted({*range(13)} - GONE["customers"])
    shop.audited()
