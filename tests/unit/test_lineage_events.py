"""Lineage events on their way out: a real server, a file, a server that is dead or silent, and what a pipeline file may say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError, SpecError
from headrace.lineage import emitter, job
from headrace.lineage.commits import Use
from headrace.lineage.datasets import table, topic
from headrace.lineage.emitter import Emitter, transport_of
from headrace.spec import Pipeline, load
from headrace.spec.lineage import Lineage

RIGHT = """pipeline: meters
lake: {path: LAKE}
streams:
  readings: {topic: meters, schema: readings.json, event_time: at, known_at: at}
"""
SCHEMA = {"type": "struct", "fields": [{"name": "at", "type": "timestamp", "nullable": False, "metadata": {}}]}


class Server:
    """Takes in what is posted to it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.events.append(json.loads(body))
                server.seen.append((self.path, self.headers.get("Authorization")))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def pipeline(folder: Path, lineage: str, **environment: str) -> Pipeline:
    (folder / "readings.json").write_text(json.dumps(SCHEMA))
    (folder / "pipeline.yaml").write_text(RIGHT.replace("LAKE", str(folder / "lake")) + lineage)
    return load(folder, environment)


def told(declared: Pipeline, says: list[str], error: BaseException | None = None) -> None:
    """A job that is told, and ends as it is said."""
    with job.telling(None, declared, "train", notify=says.append):  # a training's start asks no table
        if error is not None:
            raise error


def test_a_server_gets_each_event_with_the_key_from_the_environment(tmp_path: Path, server: Server) -> None:
    lineage = f"lineage: {{transport: http, url: '{server.url}', api_key: '${{HEADRACE_LINEAGE_KEY}}'}}\n"
    says: list[str] = []
    told(pipeline(tmp_path, lineage, HEADRACE_LINEAGE_KEY="s3cret"), says)
    assert [event["eventType"] for event in server.events] == ["START", "COMPLETE"]
    assert set(server.seen) == {("/api/v1/lineage", "Bearer s3cret")}
    assert says == []
    for event in server.events:
        assert event["schemaURL"].startswith("https://openlineage.io/spec/2-")
        assert (event["job"]["namespace"], event["job"]["name"]) == ("headrace.meters", "train")
    assert len({event["run"]["runId"] for event in server.events}) == 1
    assert "s3cret" not in json.dumps(server.events)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (HeadraceError("no disk; free some"), "FAIL", "no disk; free some"),
        (ValueError("Ada Lovelace is no number"), "FAIL", "ValueError"),
        (KeyboardInterrupt(), "ABORT", None),
    ],
)
def test_how_a_job_ended_is_told_without_values(
    tmp_path: Path, error: BaseException, kind: str, message: str | None
) -> None:
    declared = pipeline(tmp_path, f"lineage: {{transport: file, path: {tmp_path}/told/events.jsonl}}\n")
    with pytest.raises(type(error)):
        told(declared, [], error)
    *_, last = (json.loads(line) for line in (tmp_path / "told" / "events.jsonl").read_text().splitlines())
    assert (last["eventType"], last["run"]["facets"].get("errorMessage", {}).get("message")) == (kind, message)


def test_nothing_is_told_unless_it_is_declared(tmp_path: Path) -> None:
    told(pipeline(tmp_path, ""), [])
    assert {path.name for path in tmp_path.iterdir()} == {"readings.json", "pipeline.yaml"}


def test_a_server_that_is_dead_or_silent_costs_one_warning(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "CLOSE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dead = f"http://127.0.0.1:{listening.getsockname()[1]}"
    for url in (dead, silent):
        says: list[str] = []
        told(pipeline(tmp_path, f"lineage: {{transport: http, url: '{url}'}}\n"), says)
        assert len(says) == 1
        assert says[0].startswith("warning: lineage events are lost (")


def test_what_does_not_fit_into_the_queue_is_dropped_and_the_job_never_waits(tmp_path: Path) -> None:
    says: list[str] = []
    go = threading.Event()

    def held() -> list[Any]:
        go.wait(60)
        return []

    out = Emitter(transport_of(Lineage(transport="file", path=f"{tmp_path}/e.jsonl")), notify=says.append)
    out.submit(held)
    for _ in range(2 * emitter.LONGEST):
        out.submit(list)
    go.set()
    out.close()
    assert out.dropped >= emitter.LONGEST - 1
    assert len(says) == 1


def test_a_running_job_is_told_once_in_a_while(tmp_path: Path) -> None:
    declared = pipeline(tmp_path, "")
    some = Use(
        (topic("h:1,i:2", "meters", offsets={0: [(0, 5)]}),), (table("/lake/events/readings", version=3, rows=5),)
    )
    told: dict[float, list[str]] = {}
    for every, found in ((0.0, [some, some, Use(), some]), (3600.0, [some])):  # the third time nothing was committed
        file = tmp_path / f"{every}.jsonl"
        out = Emitter(transport_of(Lineage(transport="file", path=str(file))), notify=pytest.fail)
        collect = iter(found).__next__
        run = job.TellingJob(None, "ingest", pipeline=declared, emitter=out, collect=collect, every=every)
        run.start(Use)
        for _ in range(3):
            run.tick()
        run.end(None)
        out.close()
        events = [json.loads(line) for line in file.read_text().splitlines()]
        told[every] = [event["eventType"] for event in events]
    assert told == {0.0: ["START", "RUNNING", "RUNNING", "COMPLETE"], 3600.0: ["START", "COMPLETE"]}
    (read,), (wrote,) = events[-1]["inputs"], events[-1]["outputs"]
    assert (read["namespace"], read["name"]) == ("kafka://h:1", "meters")
    assert read["inputFacets"]["headrace_kafkaOffsets"]["partitions"] == {"0": [[0, 5]]}
    assert (wrote["namespace"], wrote["name"]) == ("file", "/lake/events/readings")
    assert wrote["facets"]["version"]["datasetVersion"] == "3"
    assert wrote["outputFacets"]["outputStatistics"]["rowCount"] == 5


@pytest.mark.parametrize(
    ("lineage", "says"),
    [
        ("{transport: file}", "transport: file needs a path"),
        ("{transport: http, path: a.jsonl}", "transport: http needs a url, and no path"),
        ("{transport: kafka}", "lineage.transport"),
        ("{transport: file, path: /root/.bashrc}", "lineage.path"),
        ("{transport: file, path: 'http://h/a.jsonl'}", "lineage.path"),
        ("{transport: http, url: 'http://ada:pw@h/'}", "lineage.url"),
        ("{transport: http, url: 'file:///etc/passwd'}", "lineage.url"),
        ("{transport: http, url: 'http://h', api_key: abc}", "lineage.api_key holds a secret in clear"),
        (
            "{transport: http, url: 'http://h', api_key: '${HEADRACE_X:-abc}'}",
            "lineage.api_key holds a secret in clear",
        ),
        ("{transport: http, url: 'http://h/${HEADRACE_TOKEN}'}", "is named as a secret"),
        ("{transport: file, pth: a.jsonl}", "unknown key 'lineage.pth'; did you mean 'path'?"),
    ],
)
def test_what_a_pipeline_file_may_not_say(tmp_path: Path, lineage: str, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        pipeline(tmp_path, f"lineage: {lineage}\n", HEADRACE_TOKEN="t0ken")
    assert says in str(refused.value)
    assert "t0ken" not in str(refused.value)
