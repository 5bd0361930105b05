"""Questions to Kafka over a connection that is cut."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from headrace.ingest.cuts import over_cuts
from headrace.ingest.source import unreachable


class Kafka:
    """Answers a question with these errors, one after the other, then with ``answer``."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def __call__(self, seconds: float) -> str:
        assert 0 < seconds <= 60
        if self.codes:
            raise KafkaException(KafkaError(self.codes.pop(0)))
        return "answer"


def test_a_question_whose_connection_was_cut_is_asked_again() -> None:
    assert over_cuts(Kafka(KafkaError._TRANSPORT, KafkaError._TRANSPORT), seconds=60) == "answer"


def test_another_error_is_raised_at_once_and_a_cut_one_when_time_is_up() -> None:
    refusing, gone = Kafka(KafkaError.TOPIC_AUTHORIZATION_FAILED, 99), Kafka(KafkaError._TRANSPORT, 99)
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        over_cuts(refusing, seconds=60)
    with pytest.raises(KafkaException, match="_TRANSPORT"):
        over_cuts(gone, seconds=-1)
    assert (refusing.codes, gone.codes) == ([99], [99])


def test_a_broker_that_did_not_answer_in_time_is_one_sentence() -> None:
    assert str(unreachable("h:1", TimeoutError(), {})).startswith(
        "no Kafka broker answers at h:1 (timed out); start it"
    )


def test_with_patience_a_timeout_is_asked_again_in_short_pieces_until_one_gives_up() -> None:
    given: list[float] = []

    def elects(left: float) -> str:
        given.append(left)
        if len(given) < 3:
            raise TimeoutError
        return "here"

    assert over_cuts(elects, seconds=1000, unless=lambda: False) == "here"
    assert max(given) <= 5.0
    given.clear()
    with pytest.raises(TimeoutError):
        over_cuts(elects, seconds=1000, unless=lambda: len(given) == 2)
