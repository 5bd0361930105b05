"""Encrypted columns: a value that only who holds the key ring can read, bound to its row and its place in it.

Layout of an encrypted value: 1 byte format (67, a C), 2 bytes key version, 12 bytes nonce, ciphertext (the value's text in UTF-8)
with its 16-byte tag. The record's coordinates and the path are the associated data, so a value can't be moved to another row
or column.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.errors import KeyRingError
from headrace.privacy.keys import KeyRing, column_key, worker_key
from headrace.privacy.nested import array_of, over_leaves
from headrace.spec.paths import Path, written

if TYPE_CHECKING:
    from pyspark.sql import Column

_FORMAT = ord("C")
_HEADER = struct.Struct(">BH")
_NONCE = 12
_START = _HEADER.size + _NONCE


def encrypted(
    texts: Column, *, path: Path, key: str, topic: Column, partition: Column, offset: Column, ring: KeyRing
) -> Column:
    """The texts (in arrays as the path says) as ``binary``; null stays null. Equal values look different."""
    name = column_key(key)
    return _encrypt_udf(ring.path, name, ring.current(name), path)(texts, topic, partition, offset)


def decrypted(
    values: Column, *, path: Path, key: str, topic: Column, partition: Column, offset: Column, ring: KeyRing
) -> Column:
    """The texts (``string``) of an encrypted column. A value that does not open fails with KeyRingError, in the worker."""
    return _decrypt_udf(ring.path, column_key(key), path)(values, topic, partition, offset)


def seal_value(secret: Any, version: int, text: str, place: bytes) -> bytes:
    """The encrypted value of a text at a place (coordinates and path). ``secret``: AES-GCM under the key of that version."""
    nonce = os.urandom(_NONCE)
    return _HEADER.pack(_FORMAT, version) + nonce + secret.encrypt(nonce, text.encode(), place)


def renewed_values(
    values: Column, *, path: Path, key: str, topic: Column, partition: Column, offset: Column, ring: KeyRing
) -> Column:
    """Encrypted values of any version as such of the newest one. A value that does not open fails, in the worker."""
    name = column_key(key)
    return _renew_udf(ring.path, name, ring.current(name), path)(values, topic, partition, offset)


def open_value(secret: bytes, value: bytes, place: bytes) -> str:
    """The text of one encrypted value at a place (coordinates and path)."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(secret).decrypt(value[_HEADER.size : _START], value[_START:], place).decode()
    except InvalidTag:
        raise KeyRingError(
            f"the value at {place.decode()} does not open: wrong key ring, or the row was changed"
        ) from None


def open_stored(value: bytes, place: bytes, *, key: str, ring: KeyRing) -> str:
    """The same of a value under whatever version of a column's key (as ``protect`` calls it) the ring holds.

    Raises KeyRingError where the version is gone, or the value was changed or moved.
    """
    return open_value(ring.key(column_key(key), key_version(value, place)), value, place)


def key_version(value: bytes, place: bytes) -> int:
    """The key version that an encrypted value names. Raises KeyRingError where it is no encrypted value."""
    if len(value) < _START + 16 or value[0] != _FORMAT:
        raise KeyRingError(f"the value at {place.decode()} is no encrypted value; restore the row")
    return int(_HEADER.unpack_from(value)[1])


def places(path: Path, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> list[bytes]:
    """The associated data of a column's value in each row."""
    rows = zip(topic.to_pylist(), partition.to_pylist(), offset.to_pylist(), strict=True)
    return [f"{name}/{number}/{at}/{written(path)}".encode() for name, number, at in rows]


def _encrypt_udf(ring_path: str, name: str, version: int, path: Path) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import BinaryType

    def encrypt(values: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        secret, at = AESGCM(worker_key(ring_path, name, version)), places(path, topic, partition, offset)

        def one(value: str, row: int) -> bytes:
            return seal_value(secret, version, value, at[row])

        return over_leaves(values, lambda leaves, rows: _each(leaves, rows, one, pa.binary()))

    return arrow_udf(encrypt, array_of(BinaryType(), path))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _renew_udf(reference: str, name: str, version: int, path: Path) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import BinaryType

    def renew(values: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        newest, at = AESGCM(worker_key(reference, name, version)), places(path, topic, partition, offset)

        def one(value: bytes, row: int) -> bytes:
            old = key_version(value, at[row])
            if old == version:
                return value
            return seal_value(newest, version, open_value(worker_key(reference, name, old), value, at[row]), at[row])

        return over_leaves(values, lambda leaves, rows: _each(leaves, rows, one, pa.binary()))

    return arrow_udf(renew, array_of(BinaryType(), path))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _decrypt_udf(ring_path: str, name: str, path: Path) -> Any:
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import StringType

    def decrypt(values: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        at = places(path, topic, partition, offset)

        def one(value: bytes, row: int) -> str:
            return open_value(worker_key(ring_path, name, key_version(value, at[row])), value, at[row])

        return over_leaves(values, lambda leaves, rows: _each(leaves, rows, one, pa.string()))

    return arrow_udf(decrypt, array_of(StringType(), path))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _each(values: pa.Array, rows: pa.Array, make: Any, kind: pa.DataType) -> pa.Array:
    pairs = zip(values.to_pylist(), rows.to_pylist(), strict=True)
    return pa.array([None if value is None else make(value, row) for value, row in pairs], kind)
