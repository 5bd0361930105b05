"""What a challenger showed: everything that the gate judges, and the card tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from headrace.spec.gate import Metric
from headrace.spec.kinds import Kind
from headrace.training.learners.protocol import Fitted
from headrace.training.quality import FeatureFacts
from headrace.training.resample import Interval
from headrace.training.task import BINARY, Task


@dataclass(frozen=True)
class Champion:
    """The model in service, loaded."""

    version: int
    fitted: Fitted
    features: tuple[str, ...]
    tested_from: datetime | None
    """T of the first row that it was not trained on (UTC); None where its run does not say."""
    parameters: str = ""
    """Versions of the published parameters that it was trained with (headrace.parameters.used)."""
    task: Task = BINARY


@dataclass(frozen=True)
class Segment:
    """One segment of a slice, challenger against champion."""

    slice: str
    name: str
    rows: int
    supported: bool
    """Whether it has rows enough to be judged, of both outcomes, and from enough stretches of time where those are drawn."""
    challenger: float
    """The gate's metric."""
    champion: float
    gain: Interval
    """By how much the challenger is better; unknown where there is no champion, or too little support."""


@dataclass(frozen=True)
class Rival:
    """The champion, on the test rows that neither model was trained on."""

    version: int
    rows: int
    metrics: Mapping[Metric, float]
    challenger: Mapping[Metric, float]
    """The challenger's, on the same rows."""
    gains: Mapping[Metric, Interval]
    lacking: tuple[str, ...] = ()
    """Features that it needs and that are declared no more; then nothing of it is known."""
    other_kind: Kind | None = None
    """What it predicts, where that is not what the challenger predicts; then nothing of it is known."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a challenger."""

    rows: int
    """Test rows."""
    outcomes: Mapping[str, int]
    """Test rows by outcome (``negative``, ``positive``, or a class); of a ranking the ``groups`` that can tell; none of numbers."""
    metrics: Mapping[Metric, Interval]
    features: tuple[FeatureFacts, ...] = ()
    calibration_error: float = math.nan
    latency_ms: float | None = None
    """Median milliseconds per 1,000 rows; None where it was not measured."""
    rival: Rival | None = None
    """None where there is no champion yet."""
    segments: tuple[Segment, ...] = ()
    kind: Kind = "binary"
