"""CRC-32C, the checksum of TensorFlow's files, and the records that carry it.

A record of a TFRecord file or an event file is

    length (8 bytes), its masked CRC-32C (4 bytes), the record, its masked CRC-32C (4 bytes)
"""

from __future__ import annotations

import numpy as np

from centroids.kernels import _native

RECORD_HEADER_BYTES, RECORD_FOOTER_BYTES = 12, 4


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Returns the CRC-32C of some bytes.

    Source: Castagnoli, Braeuer and Herrmann, Optimization of cyclic redundancy-check codes with
    24 and 32 parity bits, IEEE Transactions on Communications 41, 1993.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return _native.crc32c(np.frombuffer(data, np.uint8))


def masked_crc32c(data: bytes | bytearray | memoryview) -> int:
    """Returns the CRC-32C in the form in which TensorFlow stores it: rotated, plus a constant.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    check = crc32c(data)
    return ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF


def as_record(data: bytes) -> bytes:
    """Returns a record of a file, in whole.

    >>> record = as_record(b"abc")
    >>> len(record), record_length(record[:RECORD_HEADER_BYTES])
    (19, 3)
    """
    length = len(data).to_bytes(8, "little")
    parts = (length, masked_crc32c(length).to_bytes(4, "little"))
    return b"".join((*parts, data, masked_crc32c(data).to_bytes(4, "little")))


def record_length(header: bytes) -> int | None:
    """Returns the length in the header of a record; None if its checksum differs."""
    length, check = header[:8], header[8:]
    return int.from_bytes(length, "little") if is_record(length, check) else None


def is_record(record: bytes, footer: bytes) -> bool:
    """Says whether the bytes behind a record are its checksum."""
    return masked_crc32c(record) == int.from_bytes(footer, "little")
