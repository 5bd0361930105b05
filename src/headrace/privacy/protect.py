"""Protected columns: pseudonyms and masks."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.privacy.keys import KeyRing, pseudonym_key, worker_key

if TYPE_CHECKING:
    from pyspark.sql import Column

_BITS_HEX = 32


def pseudonym(secret: bytes, version: int, value: str) -> str:
    """``v<key version>.`` and 32 hex digits: HMAC-SHA256 (RFC 2104) of the UTF-8 value, cut to 128 bits."""
    return f"v{version}.{hmac.digest(secret, value.encode(), 'sha256').hex()[:_BITS_HEX]}"


def pseudonymized(column: Column, *, domain: str, ring: KeyRing) -> Column:
    """A ``string`` column of pseudonyms of the values' text; null stays null."""
    name = pseudonym_key(domain)
    return _pseudonym_udf(ring.path, name, ring.current(name))(column.cast("string"))


def masked(column: Column, *, keep: int) -> Column:
    """A ``string`` column: every character but the last ``keep`` is ``*``; a text of up to ``keep`` characters is all ``*``."""
    from pyspark.sql import functions as F

    text = column.cast("string")
    if keep == 0:
        return F.repeat(F.lit("*"), F.length(text))
    hidden = F.greatest(F.length(text) - keep, F.lit(0))
    return F.when(F.length(text) <= keep, F.repeat(F.lit("*"), F.length(text))).otherwise(
        F.concat(F.repeat(F.lit("*"), hidden), F.right(text, F.lit(keep)))
    )


def _pseudonym_udf(ring_path: str, name: str, version: int) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import StringType

    def pseudonymize(values: pa.Array) -> pa.Array:
        secret = worker_key(ring_path, name, version)
        encoded = values.dictionary_encode()  # each distinct value of the batch is hashed once
        made = [
            None if value is None else pseudonym(secret, version, value) for value in encoded.dictionary.to_pylist()
        ]
        return pc.take(pa.array(made, pa.string()), encoded.indices)

    return arrow_udf(pseudonymize, StringType())  # pyright: ignore[reportCallIssue, reportArgumentType]
