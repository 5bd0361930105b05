"""Events on their way out: a bounded queue and a thread of its own, so that no job waits for a lineage server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headrace.errors import PrerequisiteError, first_line
from headrace.spec.lineage import Lineage

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

LONGEST = 100
"""Events that wait; what comes on top of them is dropped."""
CLOSE_SECONDS = 10.0
HTTP_SECONDS = 3.0
Made = Callable[[], "Iterable[RunEvent]"]


class Transport(Protocol):
    """Delivers one event, or raises."""

    def emit(self, event: Any) -> Any: ...


def transport_of(lineage: Lineage) -> Transport:
    """What the pipeline file declares. Raises PrerequisiteError where the client is not installed."""
    try:
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider
    except ImportError:
        raise PrerequisiteError(
            "lineage events need OpenLineage's client; install it: pip install headrace[lineage], or drop the section lineage"
        ) from None
    if lineage.transport == "file":
        Path(lineage.path).absolute().parent.mkdir(parents=True, exist_ok=True)
        return FileTransport(FileConfig(log_file_path=str(Path(lineage.path).absolute()), append=True))
    auth = ApiKeyTokenProvider({"api_key": lineage.api_key}) if lineage.api_key else TokenProvider({})
    no_retry = {"total": 0, "connect": 0, "read": 0}
    return HttpTransport(
        HttpConfig(url=lineage.url, endpoint=lineage.endpoint, timeout=HTTP_SECONDS, auth=auth, retry=no_retry)
    )  # fmt: skip


class Emitter:
    """Makes events and delivers them, in the order in which they were asked for, beside the job."""

    def __init__(self, transport: Transport, *, notify: Callable[[str], None]) -> None:
        self._transport, self._notify = transport, notify
        self._waiting: queue.Queue[Made | None] = queue.Queue(LONGEST)
        self._warned = threading.Event()
        self.delivered = self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="lineage", daemon=True)
        self._thread.start()

    def submit(self, made: Made) -> None:
        """Have these events made and delivered. Never waits, never raises."""
        try:
            self._waiting.put_nowait(made)
        except queue.Full:
            self._lost("they come quicker than they are taken")

    def close(self) -> None:
        """Give what waits a few seconds (``CLOSE_SECONDS``) to get out."""
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            self._lost("they come quicker than they are taken")
            return
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._lost("the last ones did not get out in time")

    def _run(self) -> None:
        while (made := self._waiting.get()) is not None:
            try:
                for event in made():
                    self._transport.emit(event)
                    self.delivered += 1
            except Exception as error:  # whatever it is, the job is not to end by it
                self._lost(first_line(error))

    def _lost(self, why: str) -> None:
        self.dropped += 1
        if not self._warned.is_set():
            self._warned.set()
            self._notify(f"warning: lineage events are lost ({why}); the job goes on without them, and says this once")
