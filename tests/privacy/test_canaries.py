"""Canaries go through all that Headrace does, and are looked for in every byte that was written, said or shown: none is found."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canaries import PREFIX, Canaries, send_all, write_pipeline
from clear_values import Search, encoded
from confluent_kafka import Consumer, TopicPartition
from harness import compile_faults
from watched import Watched, run_watched

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Handled:
    """All that is left when everything was done to the canaries."""

    root: Path
    """``work`` is what Headrace has written in the end, ``before`` what it had before maintenance and erasure."""
    bootstrap: str
    canaries: Canaries
    done: Watched
    codes: dict[str, int]

    @property
    def keys(self) -> set[bytes]:
        """The secrets of the key ring, as bytes."""
        ring = json.loads((self.root / "work" / "pipeline" / "keys.json").read_text())
        return {bytes.fromhex(version["key"]) for versions in ring["keys"].values() for version in versions.values()}

    @property
    def search(self) -> Search:
        return Search({*self.canaries.spellings(), *self.keys})


@pytest.fixture(scope="module")
def handled(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Handled:
    root, canaries = tmp_path_factory.mktemp("canaries"), Canaries()
    work = root / "work"
    write_pipeline(work / "pipeline", bootstrap=bootstrap)
    send_all(bootstrap, canaries)
    jar = compile_faults(root)
    done = run_watched(
        [sys.executable, str(HERE / "canary_run.py"), str(work), bootstrap, str(root / "clear.txt")],
        work,
        environment={
            "HEADRACE_HOME": str(work / "home"),
            "PYTHONPATH": os.pathsep.join(
                str(HERE.parents[1] / part) for part in ("tests/stream", "tests/privacy", "src")
            ),
            "SPARK_DIST_CLASSPATH": str(jar),
            "SPARK_LOCAL_DIRS": str(work / "local"),
        },
        settings={
            "spark.hadoop.fs.file.impl": "headrace.crash.FaultFileSystem",
            "spark.hadoop.fs.AbstractFileSystem.file.impl": "headrace.crash.FaultFileContext",
        },
    )
    assert done.code == 0, done.said[-5000:]
    return Handled(root, bootstrap, canaries, done, json.loads(done.said.splitlines()[-1]))


def test_everything_was_done_and_every_fault_struck(handled: Handled) -> None:
    faults = {name: code for name, code in handled.codes.items() if name.startswith("fault")}
    assert all(code > 0 for name, code in faults.items() if not name.endswith("kill worker")), faults
    assert {name: code for name, code in handled.codes.items() if code and name not in faults} == {}
    names = {path.name for path in (handled.root / "before").rglob("*")}
    assert {
        "_delta_log",
        "index.html",
        "mlflow.db",
        "commits",
        "model.ubj",
        "predictions",
        "openings",
        "steps",
    } <= names


def test_the_model_of_an_erased_person_was_trained_anew(handled: Handled) -> None:
    said = handled.done.said[handled.done.said.index("--- erase\n") :]
    assert all(f"trained on the person: {PREFIX}/{version}" in said for version in (1, 2))
    assert '"version": 3' in said
    assert '"train_rows"' in said


def test_no_file_holds_a_canary_or_a_key(handled: Handled) -> None:
    """Tables, logs, checkpoints, ledgers, Data Docs, MLflow's database and artifacts, Spark's event log and its own files."""
    ring = handled.root / "work" / "pipeline" / "keys.json"
    found = {
        name: values
        for folder in ("work", "before")
        for name, values in handled.search.below(handled.root / folder).items()
    }
    assert set(found) == {str(ring.relative_to(handled.root / "work"))}, (
        "the ring alone, which shows that keys would be found"
    )
    assert handled.keys <= found["pipeline/keys.json"]


def test_nothing_that_was_said_or_shown_of_processes_holds_one(handled: Handled) -> None:
    assert handled.search.inside(handled.done.said.encode()) == set()
    assert b"java" in handled.done.processes
    assert handled.search.inside(handled.done.processes) == set()


@pytest.mark.parametrize("topic", ["answers", "decisions", "parameters"])
def test_no_published_record_holds_one(handled: Handled, topic: str) -> None:
    consumer = Consumer({"bootstrap.servers": handled.bootstrap, "group.id": "canaries", "enable.auto.commit": False})
    place = TopicPartition(f"{PREFIX}.{topic}", 0, 0)
    end = consumer.get_watermark_offsets(place, timeout=60)[1]
    consumer.assign([place])
    records = consumer.consume(end, timeout=20)
    consumer.close()
    assert len(records) == end > 0
    for record in records:
        data = repr((record.key(), record.value(), record.headers())).encode()
        assert handled.search.inside(data) == set()


def test_who_holds_the_keys_and_asks_for_it_sees_the_record(handled: Handled) -> None:
    """Which shows that the canaries came as far as the sealed payloads."""
    found = handled.search.inside((handled.root / "clear.txt").read_bytes())
    assert {handled.canaries.made.get(str(value), "").split(":")[0] for value in found} >= {"cut off", "key, cut off"}


VALUES = ("Quoxelplanted", "quoxel.planted@example.org", "4539 0000 1111 2222", "Ευρυδίκη Παπα", bytes(range(7, 39)))
"""A name, an address, a card, a name in another script, and a key."""


def places(form: bytes, folder: Path) -> None:
    """The same leak in a file of each kind that Headrace, Spark, Delta or MLflow writes."""
    data = b"some text before " + form + b" and after " + b"x" * 9_000
    packed = pa.compress(data, "lz4_raw", asbytes=True)
    block = b"LZ4Block" + b"\x26" + b"".join(n.to_bytes(4, "little") for n in (len(packed), len(data), 0)) + packed
    for name, content in {
        "said.txt": data,
        "events": b'{"plan": "' + form + b'"}',
        "index.html": b"<td>" + form + b"</td>",
        "commits.json.gz": gzip.compress(data),
        "events.zstd": pa.compress(data, "zstd", asbytes=True),
        "state.lz4": lz4_frame(data),
        "shuffle.data": block,
    }.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "state.zip", "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("000001.sst", data)
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("create table tags (value blob)")
        database.execute("insert into tags values (?)", [b"y" * 4_080 + data])  # over the end of a page
    text = form.decode("latin-1" if not form.isascii() and b"\x00" in form else "utf-8", "replace")
    rows = pa.table({"raw": [b"nobody", form] * 400, "deep": [[{"value": form}]] * 800, "text": ["nobody", text] * 400})
    for codec, column in (("zstd", "raw"), ("snappy", "deep"), ("gzip", "text"), ("lz4", "raw")):
        options = {"compression": codec, "write_statistics": False}
        pq.write_table(rows.select([column]), folder / f"{codec}-{column}.parquet", **options)


def lz4_frame(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.output_stream(sink, compression="lz4") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("value", VALUES, ids=["name", "address", "card", "script", "key"])
def test_the_search_finds_a_leak_in_every_kind_of_place_and_encoding(value: str | bytes, tmp_path: Path) -> None:
    search, forms = Search([value]), sorted(encoded(value))
    missed: set[tuple[str, bytes]] = set()
    for number, form in enumerate(forms):
        folder = tmp_path / str(number)
        folder.mkdir()
        places(form, folder)
        missed |= {(path.name, form) for path in folder.iterdir()} - {(name, form) for name in search.below(folder)}
    textual = {form for form in forms if not form.isascii()}  # a column of texts can't hold half a character
    assert {(name, form) for name, form in missed if not (name == "gzip-text.parquet" and form in textual)} == set()


def test_the_search_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    places(b"somebody else entirely", tmp_path)
    assert Search(VALUES).below(tmp_path) == {}


def test_the_search_finds_what_a_command_says_and_what_a_list_of_processes_shows(tmp_path: Path) -> None:
    program = "import sys, time; print('Quoxelsaid'); print('Quoxelcomplained', file=sys.stderr); time.sleep(1)"
    done = run_watched(
        [sys.executable, "-c", program, "Quoxelargument"], tmp_path, environment={"LEAK": "Quoxelenvironment"}
    )
    search = Search(["Quoxelsaid", "Quoxelcomplained", "Quoxelargument", "Quoxelenvironment"])
    assert search.inside(done.said.encode()) == {"Quoxelsaid", "Quoxelcomplained"}
    assert search.inside(done.processes) >= {"Quoxelargument", "Quoxelenvironment"}
