"""CRC-32C, the checksum of TensorFlow's files, with NumPy instead of a loop over bytes.

Without its initial value and final inversion a cyclic redundancy check is linear. With zeros in
front, which change nothing, all pieces of a block have the same length, and

    check(a + b) = shift(check(a), len(b)) ^ check(b)

where `shift(x, n)` is what n zero bytes make of the register x. So all neighbouring words are
joined at once, then all neighbouring pairs, and so on.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Castagnoli's polynomial, lowest bit first.
_POLYNOMIAL = 0x82F63B78
_ALL_ONES = 0xFFFFFFFF
_BLOCK = 1 << 18

Words = NDArray[np.uint32]


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Returns the CRC-32C of some bytes.

    Source: Castagnoli, Braeuer and Herrmann, Optimization of cyclic redundancy-check codes with
    24 and 32 parity bits, IEEE Transactions on Communications 41, 1993.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    check = np.array([_ALL_ONES], np.uint32)
    for begin in range(0, len(data), _BLOCK):
        block = data[begin : begin + _BLOCK]
        check = _shift(check, len(block)) ^ _check_block(block)
    return int(check[0]) ^ _ALL_ONES


def masked_crc32c(data: bytes | bytearray | memoryview) -> int:
    """Returns the CRC-32C in the form in which TensorFlow stores it: rotated, plus a constant.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    return int(_mask(crc32c(data)))


def masked_crc32c_of_rows(rows: NDArray[np.uint8]) -> Words:
    """Returns the masked CRC-32C of each of n pieces of equal length, all of them at once.

    Args:
        rows: [n, m] bytes.

    >>> pieces = np.frombuffer(b"123456789" * 2, np.uint8).reshape(2, 9)
    >>> [hex(check) for check in masked_crc32c_of_rows(pieces)]
    ['0xc78ab0e5', '0xc78ab0e5']
    """
    count, length = rows.shape
    if length == 0 or length > _BLOCK:
        return np.array([masked_crc32c(row.tobytes()) for row in rows], np.uint32)
    checks = np.empty(count, np.uint32)
    step = max(_BLOCK // length, 1)  # temporaries of a few blocks
    start = _shift(np.array([_ALL_ONES], np.uint32), length)
    for begin in range(0, count, step):
        checks[begin : begin + step] = start ^ _check_blocks(rows[begin : begin + step])
    inverted = (checks ^ np.uint32(_ALL_ONES)).astype(np.uint64)
    masked: Words = _mask(inverted).astype(np.uint32)
    return masked


def _mask(check: Any) -> Any:
    """A number, or an array of 64 bits."""
    return ((check >> 15 | check << 17 & _ALL_ONES) + 0xA282EAD8) & _ALL_ONES


def _check_block(block: bytes | bytearray | memoryview) -> Words:
    """[1], the check of at least one byte, without initial value and final inversion."""
    return _check_blocks(np.frombuffer(block, np.uint8)[None, :])


def _check_blocks(blocks: NDArray[np.uint8]) -> Words:
    """[n], the same of each of [n, m] bytes."""
    length = 4
    size = max(length, 1 << (blocks.shape[1] - 1).bit_length())
    padded = np.zeros((len(blocks), size), np.uint8)
    padded[:, size - blocks.shape[1] :] = blocks
    # A word stands for its bytes before they go through the register; the last line lets them.
    checks = padded.view("<u4").astype(np.uint32, copy=False)
    while checks.shape[1] > 1:
        checks = _shift(checks[:, 0::2], length) ^ checks[:, 1::2]
        length *= 2
    return _shift(checks[:, 0], 4)


def _shift(registers: Words, num_bytes: int) -> Words:
    """What a number of zero bytes makes of each register."""
    for power in range(num_bytes.bit_length()):
        if num_bytes >> power & 1:
            registers = _look_up(_tables(power), registers)
    return registers


@functools.cache
def _tables(power: int) -> Words:
    """[4, 256], what 2^power zero bytes make of each value of each byte of a register."""
    one, polynomial = np.uint32(1), np.uint32(_POLYNOMIAL)
    images: Words = np.array([1 << bit for bit in range(32)], np.uint32)  # of each single bit
    if power > 0:
        half = _tables(power - 1)
        images = _look_up(half, _look_up(half, images))
    else:
        for _ in range(8):
            images = (images >> one) ^ (images & one) * polynomial
    tables = np.zeros((4, 256), np.uint32)
    for bit in range(8):
        tables[:, 1 << bit : 2 << bit] = tables[:, : 1 << bit] ^ images[bit::8, None]
    return tables


def _look_up(tables: Words, registers: Words) -> Words:
    result: Words = tables[0][registers & 0xFF]
    for byte in range(1, 4):
        result ^= tables[byte][registers >> (8 * byte) & 0xFF]
    return result
