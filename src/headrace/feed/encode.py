"""Frames to JSON, a column at a time: each distinct value is written once and looked up for every row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd


def json_objects(frame: pd.DataFrame, columns: Sequence[str]) -> list[bytes]:
    """One compact JSON object (UTF-8) per row with ``columns`` as keys; a missing value is ``null``."""
    template = "{" + ",".join(f"{json.dumps(column)}:%s" for column in columns) + "}"
    literals = [_literals(frame[column]) for column in columns]
    return [(template % row).encode() for row in zip(*literals, strict=True)]


def utc_texts(instants: Any) -> pd.Series:
    """Instants as ISO-8601 UTC to the second, ``2013-01-01T09:15:00Z``; missing stays missing."""
    seconds = instants.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    texts = pd.Series(np.datetime_as_string(seconds), index=instants.index) + "Z"
    return texts.where(instants.notna())


def _literals(values: Any) -> list[str]:
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    written = [json.dumps(value) for value in distinct.tolist()]
    written.append("null")  # the code of a missing value is -1: the last
    return [written[code] for code in codes.tolist()]
