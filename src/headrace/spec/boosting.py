"""What boosting may do besides fitting trees: calibrate."""

from __future__ import annotations

from typing import Literal

Method = Literal["sigmoid", "isotonic"]
"""How a calibration maps scores to probabilities."""
