"""anonymize: after this stage nothing personal is in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.privacy.keys import KeyRing
from headrace.privacy.protect import masked, pseudonymized
from headrace.spec.stream import Mask, Stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def anonymize(events: DataFrame, *, stream: Stream, ring: KeyRing) -> DataFrame:
    """The same rows; protected columns are dropped, or replaced by pseudonyms or masks (``string``)."""
    replaced = {
        name: masked(F.col(name), keep=protection.mask)
        if isinstance(protection, Mask)
        else pseudonymized(F.col(name), domain=protection.pseudonym, ring=ring)
        for name, protection in stream.protect.items()
        if not isinstance(protection, str)
    }
    dropped = [name for name, protection in stream.protect.items() if protection == "drop"]
    return events.withColumns(replaced).drop(*dropped) if replaced else events.drop(*dropped)
