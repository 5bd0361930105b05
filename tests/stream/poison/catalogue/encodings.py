"""Bytes that are not UTF-8, or that are something else altogether."""

# ruff: noqa: E501

from __future__ import annotations

import gzip
import struct

from catalogue.poison import CANARY, GOOD, Poison, flat, kept, kept_beside, refused, refused_beside

WHOLE = f"{{{GOOD}}}"


def at_id(raw: bytes) -> bytes:
    return b'{"id":"' + raw + b'","at":"2013-01-01T00:00:00Z","owner":"' + CANARY.encode() + b'"}'


RECORDS: list[Poison] = flat(
    # a byte that never occurs, a stray continuation, a character cut short, in the middle and at the end
    refused("decode:encoding", *map(at_id, (b"\xff", b"\xfe", b"a\x80b", b"\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3(", b"\xe2(\xa1"))),
    refused("decode:encoding", b'{"id":"\xe2\x82', b"\xff\xfe", b"\x80", WHOLE.encode() + b"\xff", b"{\xff}"),
    # written longer than need be: a NUL, a slash, a quote
    refused("decode:encoding", *map(at_id, (b"\xc0\x80", b"\xc0\xaf", b"\xe0\x80\xa2", b"\xf0\x82\x82\xac", b"\xc1\x81"))),
    # halves of pairs as UTF-8 (CESU-8), beyond the last character, and forms of five and six bytes
    refused("decode:encoding", *map(at_id, (b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80"))),
    refused("decode:encoding", *map(at_id, (b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"))),
    # other encodings of the same text
    refused("decode:encoding", WHOLE.encode("utf-16"), at_id("é".encode("latin-1")), at_id("€".encode("cp1252")), at_id("日本".encode("shift_jis"))),
    refused("decode:not_an_object", WHOLE.encode("utf-16-be"), WHOLE.encode("utf-32-be"), b"\xef\xbb\xbf" + WHOLE.encode(), b"+ADs-"),
    refused("decode:malformed", WHOLE.encode("utf-16-le"), WHOLE.encode("utf-32-le")),
    # half of a pair, escaped
    refused("decode:encoding", *(f'{{"id":{text},"at":"2013-01-01T00:00:00Z"}}' for text in
            ('"\\ud800"', '"\\uDC00x"', '"\\ud83d\\ud83d\\ude00"', '"\\\\\\ud800"', '"\\udbff\\u0041"', '"\\uDFFF\\uD800"'))),
    refused_beside("decode:encoding", '"zz":"\\ud800"', '"\\ud800":1'),
    # other formats: Confluent's framing, Avro, gzip, zstd, a protobuf message, Java's serialization, an image
    refused("decode:not_an_object", b"\x00\x00\x00\x00\x01{}", b"\x00\x00\x00\x00\x07" + WHOLE.encode(), b"Obj\x01\x04"),
    refused("decode:not_an_object", b"\x0a\x01a\x10\x01", struct.pack(">q", 7)),
    refused("decode:encoding", gzip.compress(WHOLE.encode(), mtime=0), b"\x28\xb5\x2f\xfd\x04\x00", b"\xac\xed\x00\x05t\x00\x01a", b"\x89PNG\r\n\x1a\n"),
    refused("decode:encoding", bytes(range(256)), b"\xde\xad\xbe\xef"),
    # right, however odd
    kept(at_id("\U0001f600\U0010ffff\uffff\ufffe".encode()), id="\U0001f600\U0010ffff\uffff\ufffe"),
    kept(at_id(b"\\ud83d\\ude00"), id="\U0001f600"),
    kept(at_id(b"\\\\ud800"), id="\\ud800"),
    kept(at_id(b"\xef\xbf\xbd"), id="\ufffd"),
    kept(at_id(b"a\xef\xbb\xbfb"), id="a\ufeffb"),
    kept(at_id(b"\\u0000a\\u0007"), id="\x00a\x07"),
    kept(at_id(b"\\uFFFF\\ufdd0"), id="\uffff\ufdd0"),
    kept_beside('"zz":"\\uD83D\\uDE00 \\\\uD800"'),
)  # fmt: skip
