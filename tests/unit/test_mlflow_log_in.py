"""What is said where a tracking server refuses a log-in. The server is a stand-in that answers 401."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headrace.connections import Tracking
from headrace.errors import ModelError
from headrace.training.registry import open_tracking


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"You are not authenticated.")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_refused_log_in_is_one_sentence_without_the_password(address: str) -> None:
    with pytest.raises(ModelError) as error:
        open_tracking(Tracking(f"http://me:hunter2@{address}", "x", None))
    assert str(error.value) == (
        f"http://...@{address}: MLflow refused the log-in; set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to what it knows"
    )
    assert error.value.exit_code == 13
