"""A way to a broker that is slow, and that is cut."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress


class TcpProxy:
    """Passes bytes between a port of its own and a broker's.

    ``target``: the broker's port, set before a client comes. ``delay``: seconds by which each byte is late. ``cut_every``: all
    connections are cut after so many bytes from the broker, in the midst of an answer; 0 cuts none. ``cuts``: how many so far.
    """

    def __init__(self) -> None:
        self._open, self._lock = set[socket.socket](), threading.Lock()
        self.delay, self.cut_every, self.cuts, self._passed = 0.0, 0, 0, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.target = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """End all connections at once."""
        with self._lock:
            ended, self._open = self._open, set()
        for end in ended:
            _close(end)

    def close(self) -> None:
        _close(self._server)
        self.cut()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, broker}
            for source, sink in ((client, broker), (broker, client)):
                late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                threading.Thread(target=self._take, args=(source, late, source is broker), daemon=True).start()
                threading.Thread(target=self._give, args=(sink, late), daemon=True).start()

    def _take(self, source: socket.socket, late: queue.SimpleQueue[tuple[float, bytes]], counts: bool) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if counts and self._is_due(len(data)):
                self.cut()
                data = b""
            late.put((time.monotonic() + self.delay, data))

    def _is_due(self, length: int) -> bool:
        with self._lock:
            self._passed += length
            due = 0 < self.cut_every <= self._passed
            if due:
                self._passed, self.cuts = 0, self.cuts + 1
            return due

    def _give(self, sink: socket.socket, late: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        while True:
            due, data = late.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                sink.sendall(data)
            except OSError:
                data = b""
            if not data:
                _close(sink)
                return


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
