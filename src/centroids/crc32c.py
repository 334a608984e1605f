"""CRC-32C, the checksum of TensorFlow's files."""

from __future__ import annotations

import numpy as np

from centroids.kernels import _native


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
