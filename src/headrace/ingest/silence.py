"""Kafka's silence, told: a batch waits for its records without a word, for minutes, before Spark gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.ingest.cuts import over_cuts
from headrace.ingest.source import client_settings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

EVERY_S = 5.0
ANSWER_WITHIN_S = 5.0


@contextmanager
def telling_silence(broker: Broker, *, notify: Callable[[str], None]) -> Generator[None]:
    """Tell once when the broker stops answering, and once when it answers again, for as long as this is held."""
    from confluent_kafka.admin import AdminClient

    over = threading.Event()
    admin = AdminClient(client_settings(broker.bootstrap, broker.options))
    threading.Thread(target=_listen, args=(admin, broker.bootstrap, over, notify), daemon=True).start()
    try:
        yield
    finally:
        over.set()  # it ends once its last question is answered or timed out: a stop does not wait for that


def _listen(admin: AdminClient, address: str, over: threading.Event, notify: Callable[[str], None]) -> None:
    silent = False
    while not over.wait(EVERY_S):
        if _answers(admin) == silent and not over.is_set():
            silent = not silent
            notify(
                f"warning: Kafka does not answer at {address}; waiting some minutes for it; nothing is lost"
                if silent
                else f"Kafka answers again at {address}"
            )


def _answers(admin: AdminClient) -> bool:
    from confluent_kafka import KafkaException

    try:
        over_cuts(lambda seconds: admin.list_topics(timeout=seconds), seconds=ANSWER_WITHIN_S)
    except KafkaException:
        return False
    return True
