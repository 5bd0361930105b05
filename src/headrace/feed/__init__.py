"""The producers of the shipped pipelines: recorded or generated events, sent to Kafka in event-time order."""

from __future__ import annotations

from headrace.feed.flight_events import FLIGHT_TOPICS
from headrace.feed.flights import feed_flights, flights_of
from headrace.feed.produce import Produced, produce
from headrace.feed.record import Record
from headrace.feed.send import feed

__all__ = ["FLIGHT_TOPICS", "Produced", "Record", "feed", "feed_flights", "flights_of", "produce"]
