"""Free ports on this machine's own address."""

from __future__ import annotations

import socket
import zlib

LOCALHOST = "127.0.0.1"
_FIRST, _COUNT = 20_000, 12_000  # below the range that systems give to outgoing connections


def is_listening(port: int) -> bool:
    """True if a server accepts connections on ``port`` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOCALHOST, port)) == 0


def is_free(port: int) -> bool:
    """True if a server could listen on ``port`` of 127.0.0.1 now. Not for a port that a server is about to take."""
    if not 0 < port < 65_536 or is_listening(port):
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def first_free(start: int) -> int:
    """The first free port from ``start`` on."""
    return next(port for port in range(start, 65_536) if is_free(port))


def free_ports(seed: str, *, count: int, skip: int = 0) -> tuple[int, ...]:
    """``count`` free ports between 20000 and 31999, the same for the same ``seed`` as long as they are free.

    ``skip`` leaves out that many candidates, for another try.
    """
    offset = zlib.crc32(seed.encode("utf-8", "surrogateescape")) % _COUNT
    candidates = (_FIRST + (offset + step) % _COUNT for step in range(skip, _COUNT))
    free = (port for port in candidates if is_free(port))
    return tuple(next(free) for _ in range(count))
