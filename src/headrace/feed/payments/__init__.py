"""Simulated card payments, with the truth beside them: customers, devices, payments, outcomes, faults, drift."""

from __future__ import annotations

from headrace.feed.payments.timeline import Payments, Simulation
from headrace.feed.payments.topics import PAYMENT_TOPICS

__all__ = ["PAYMENT_TOPICS", "Payments", "Simulation"]
