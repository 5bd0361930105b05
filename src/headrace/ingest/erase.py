"""An erasure as an errand: the rows that a command found go, and the files that held them, between two micro-batches.

The errand says where the rows are, by partition and offset; whom they are about it does not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.ingest.clerk import Handler
from headrace.lake.erase import ERASE, Place, erase_places, purge
from headrace.lake.errands import Errand, new_errand
from headrace.lake.layout import EVENTS, Layout
from headrace.lake.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def erase_errand(*, table: str, erasure: str, places: Sequence[Place], days: Sequence[str]) -> Errand:
    """Ask that the rows of these records go, and the old files of the table."""
    told = {"erasure": erasure, "places": [list(place) for place in sorted(places)], "days": sorted(days)}
    return new_errand(table=table, verb=ERASE, arguments=told)


def erase_handler(spark: SparkSession, layout: Layout) -> Handler:
    """Carries erasures out; gives back ``rows`` (verdict to rows that went) and ``files`` (removed). Safe to repeat."""

    def carry_out(errand: Errand, lease: Lease) -> Mapping[str, Any]:
        path, told = layout.events(errand.table.removeprefix(EVENTS)), errand.arguments
        places: list[Place] = [(int(partition), int(offset)) for partition, offset in told["places"]]
        rows: dict[str, int] = {}
        if places and told["days"]:
            rows = erase_places(
                spark, path, places, days=told["days"], erasure=told["erasure"], request=errand.id, lease=lease
            )
        return {"rows": rows, "files": purge(spark, path, lease=lease)}

    return carry_out
