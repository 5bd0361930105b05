"""Headrace leads event streams to trained models. ``headrace.open("conf/flights")`` is the way in from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.workbench import Workbench

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(pipeline: str, **settings: str) -> Workbench:
    """A pipeline's tables, predictions and model runs, for a notebook. ``settings``: Spark settings of the session."""
    from headrace.workbench import open_workbench

    return open_workbench(pipeline, settings=settings)
