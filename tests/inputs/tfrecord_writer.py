"""TFRecord files of tf.train.Example messages, written byte by byte after the specification."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


@functools.cache
def _register(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


def masked_checksum(data: bytes) -> bytes:
    check = 0xFFFFFFFF
    for byte in data:
        check = _register((check ^ byte) & 0xFF) ^ check >> 8
    check ^= 0xFFFFFFFF
    return struct.pack("<I", ((check >> 15 | check << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    data = bytearray()
    while number >= 128:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values: Any, packed: bool = True) -> bytes:
    """A list of bytes, of integers or of floats, by what the values are."""
    if isinstance(values, bytes):
        return field(1, field(1, values))
    array = np.atleast_1d(values)
    if array.dtype.kind in "iu":
        numbers = [varint(int(value)) for value in array]
        content = field(1, b"".join(numbers)) if packed else b"".join(b"\x08" + n for n in numbers)
        return field(3, content)
    floats = [struct.pack("<f", value) for value in array]
    return field(2, field(1, b"".join(floats)) if packed else b"".join(b"\x0d" + f for f in floats))


def example(features: Mapping[str, Any], packed: bool = True) -> bytes:
    entries = (
        field(1, name.encode()) + field(2, feature(values, packed))
        for name, values in features.items()
    )
    return field(1, b"".join(field(1, entry) for entry in entries))


def framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return length + masked_checksum(length) + record + masked_checksum(record)


def write_tfrecord(file: Path, records: Iterable[bytes], compression: str = "") -> Path:
    data = b"".join(map(framed, records))
    if compression:
        window = 31 if compression == "GZIP" else 15
        compressor = zlib.compressobj(wbits=window)
        data = compressor.compress(data) + compressor.flush()
    file.write_bytes(data)
    return file


def write_rows(file: Path, rows: Sequence[Any], compression: str = "") -> Path:
    """A record with the feature "x" for each row."""
    records = (example({"x": np.asarray(row, np.float32)}) for row in rows)
    return write_tfrecord(file, records, compression)
