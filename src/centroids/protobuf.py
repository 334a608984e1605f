"""Reads protocol buffers, as far as files of TensorFlow need it."""

from __future__ import annotations

from collections.abc import Iterator


class DamagedMessageError(ValueError):
    """The bytes are not a message, or were altered."""


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Reads a number of up to 64 bits: 7 bits per byte, the lowest first, the last byte below 128.

    Returns:
        The number and the position after it.

    Raises:
        DamagedMessageError: If the data end within it, or it is too large or needlessly long.

    >>> read_varint(bytes([0xAC, 0x02]), 0)
    (300, 2)
    """
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise DamagedMessageError("it ends within a number")
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 1 << 64:
                break
            if byte == 0 and shift > 0:
                raise DamagedMessageError("it has a number with needless bytes")
            return number, position
    raise DamagedMessageError("it has a number of more than 64 bits")


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of the fields of a protocol buffer.

    Raises:
        DamagedMessageError: If a field does not fit, or is of an unknown kind.

    >>> list(read_fields(bytes([8, 150, 1, 18, 2, 104, 105])))
    [(1, 150), (2, b'hi')]
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = read_varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = read_varint(message, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise DamagedMessageError(f"a field has the unknown kind {kind}")
        piece = message[position : position + size]
        position += size
        if position > len(message):
            raise DamagedMessageError("a field does not fit into its message")
        yield tag >> 3, piece if kind == 2 else int.from_bytes(piece, "little")


def as_number(value: int | bytes) -> int:
    """The value of a field that is a number; else a DamagedMessageError."""
    if isinstance(value, bytes):
        raise DamagedMessageError("a field should be a number")
    return value


def as_message(value: int | bytes) -> bytes:
    """The bytes of a field that is a message or a string; else a DamagedMessageError."""
    if isinstance(value, int):
        raise DamagedMessageError("a field should be a message")
    return value
