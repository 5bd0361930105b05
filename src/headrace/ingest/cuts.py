"""Requests that outlive a cut connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_PAUSE_S = 0.2


def over_cuts(ask: Callable[[float], Answer], *, seconds: float) -> Answer:
    """What ``ask`` gives, asked again while its connection is cut: a broker that starts again drops all of them.

    ``ask`` gets the seconds that are left. Raises the KafkaException that is left in the end, and every other one at once.
    """
    from confluent_kafka import KafkaError, KafkaException

    end = time.monotonic() + seconds
    while True:
        try:
            return ask(max(end - time.monotonic(), _PAUSE_S))
        except KafkaException as error:
            if error.args[0].code() != KafkaError._TRANSPORT or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)
