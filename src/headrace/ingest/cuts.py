"""Requests that outlive a cut connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_PAUSE_S = 0.2
_PIECE_S = 5.0


def over_cuts(ask: Callable[[float], Answer], *, seconds: float, unless: Callable[[], bool] | None = None) -> Answer:
    """What ``ask`` gives, asked again while its connection is cut: a broker that starts again drops all of them.

    ``ask`` gets the seconds that it may take. With ``unless`` it is asked in short pieces, also again where it timed out (a
    cluster elects a leader), until that says to give up. Raises the KafkaException or TimeoutError that is left in the end, and
    every other one at once.
    """
    from confluent_kafka import KafkaError, KafkaException

    end = time.monotonic() + seconds
    passing = {KafkaError._TRANSPORT} if unless is None else {KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
    while True:
        left = max(end - time.monotonic(), _PAUSE_S)
        try:
            return ask(left if unless is None else min(left, _PIECE_S))
        except (KafkaException, TimeoutError) as error:
            passes = error.args[0].code() in passing if isinstance(error, KafkaException) else unless is not None
            if not passes or time.monotonic() > end or (unless is not None and unless()):
                raise
            time.sleep(_PAUSE_S)
