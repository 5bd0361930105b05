"""Sealed payloads: the original record of a quarantined row, encrypted with AES-256-GCM.

Layout of a sealed value: 1 byte format (2), 2 bytes key version, 12 bytes nonce, ciphertext with its 16-byte tag. What is
encrypted is laid out by :mod:`headrace.privacy.original`. The record's coordinates are the associated data, so a payload can't
be moved to another row. Payloads of format 1 (written by 0.1.0, without headers) still open.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.errors import KeyRingError
from headrace.privacy.keys import SEAL, KeyRing, worker_key
from headrace.privacy.original import Headers, Original, packed, unpacked, unpacked_first

if TYPE_CHECKING:
    from pyspark.sql import Column

_READERS = {1: unpacked_first, 2: unpacked}
_FORMAT = max(_READERS)
_HEADER = struct.Struct(">BH")
_NONCE = 12
_SHORTEST = _HEADER.size + _NONCE + 5 + 16
"""Of a record without key and value: header, nonce, flags with the key's length, and the tag."""


def sealed(
    *,
    key: Column,
    value: Column,
    headers: Column,
    topic: Column,
    partition: Column,
    offset: Column,
    ring: KeyRing,
    when: Column,
) -> Column:
    """A ``binary`` column: the sealed record where ``when`` is true, else null."""
    from pyspark.sql import functions as F

    udf = _seal_udf(ring.path, ring.current(SEAL))
    none = F.when(F.lit(False), headers).otherwise(
        F.array()
    )  # a null would cost Arrow's list writer a pass over the batch
    parts = (F.when(when, key), F.when(when, value), F.when(when, headers).otherwise(none))
    return udf(F.when(when, topic), partition, offset, *parts)


def resealed(*, payload: Column, topic: Column, partition: Column, offset: Column, ring: KeyRing) -> Column:
    """Sealed payloads of any key version as such of the newest one. One that does not open fails, in the worker."""
    return _reseal_udf(ring.path, ring.current(SEAL))(payload, topic, partition, offset)


def open_sealed(payload: bytes, *, topic: str, partition: int, offset: int, ring: KeyRing) -> Original:
    """The original record. Raises KeyRingError where the key is absent or the payload was changed or moved."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(payload) < _SHORTEST:
        raise KeyRingError(f"the payload at {topic}/{partition}/{offset} does not open: it was cut; restore the row")
    form, version = _HEADER.unpack_from(payload)
    if form not in _READERS:
        raise KeyRingError(f"sealed payload of unknown format {form} at {topic}/{partition}/{offset}; upgrade Headrace")
    start = _HEADER.size + _NONCE
    coordinates = _coordinates(topic, partition, offset)
    try:
        clear = AESGCM(ring.key(SEAL, version)).decrypt(
            payload[_HEADER.size : start], payload[start:], _associated(form, coordinates)
        )
    except InvalidTag:
        raise KeyRingError(
            f"the payload at {topic}/{partition}/{offset} does not open: wrong key ring {ring.path}, or the row was changed"
        ) from None
    return _READERS[form](clear)


def _coordinates(topic: str, partition: int, offset: int) -> bytes:
    return f"{topic}/{partition}/{offset}".encode()


def _associated(form: int, coordinates: bytes) -> bytes:
    """What a payload is bound to: its record's coordinates, and from format 2 on its format too."""
    return coordinates if form == 1 else bytes([form]) + coordinates


def _seal_one(secret: Any, version: int, coordinates: bytes, record: Original) -> bytes:
    nonce = os.urandom(_NONCE)
    ciphertext = secret.encrypt(nonce, packed(record), _associated(_FORMAT, coordinates))
    return _HEADER.pack(_FORMAT, version) + nonce + ciphertext


def _seal_udf(ring_path: str, version: int) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import BinaryType

    def seal(
        topic: pa.Array, partition: pa.Array, offset: pa.Array, key: pa.Array, value: pa.Array, headers: pa.Array
    ) -> pa.Array:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        out: list[bytes | None] = [None] * len(topic)
        if topic.null_count < len(topic):
            secret = AESGCM(worker_key(ring_path, SEAL, version))
            for i, name in enumerate(topic.to_pylist()):
                if name is not None:
                    record = Original(key[i].as_py(), value[i].as_py(), _headers(headers[i]))
                    coordinates = _coordinates(name, partition[i].as_py(), offset[i].as_py())
                    out[i] = _seal_one(secret, version, coordinates, record)
        return pa.array(out, pa.binary())

    return arrow_udf(seal, BinaryType())  # pyright: ignore[reportCallIssue, reportArgumentType]


def _headers(told: pa.Scalar) -> Headers:
    return tuple((header["key"], header["value"]) for header in told.as_py() or ())


def _reseal_udf(reference: str, version: int) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import BinaryType

    def reseal(payload: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        rows = zip(payload.to_pylist(), topic.to_pylist(), partition.to_pylist(), offset.to_pylist(), strict=True)
        out = [
            None if row[0] is None else _reseal_one(reference, version, row[0], _coordinates(*row[1:])) for row in rows
        ]
        return pa.array(out, pa.binary())

    return arrow_udf(reseal, BinaryType())  # pyright: ignore[reportCallIssue, reportArgumentType]


def _reseal_one(reference: str, version: int, payload: bytes, coordinates: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    form, old = _HEADER.unpack_from(payload)
    if old == version:
        return payload
    start = _HEADER.size + _NONCE
    try:
        clear = AESGCM(worker_key(reference, SEAL, old)).decrypt(
            payload[_HEADER.size : start], payload[start:], _associated(form, coordinates)
        )
    except InvalidTag:
        raise KeyRingError(
            f"the payload at {coordinates.decode()} does not open: it was changed; restore the row"
        ) from None
    nonce = os.urandom(_NONCE)
    secret = AESGCM(worker_key(reference, SEAL, version))
    return _HEADER.pack(form, version) + nonce + secret.encrypt(nonce, clear, _associated(form, coordinates))
