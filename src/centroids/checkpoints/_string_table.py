"""Sorted string tables: the format of the `.index` file of a TensorFlow checkpoint.

    block ... block, index block, footer (48 bytes)

A block is its contents, a byte that says how they are compressed, and the masked CRC-32C of both.
The contents are entries in the order of their keys,

    shared, unshared, size of value (varints), unshared bytes of the key, value

where a key begins with the first `shared` bytes of the key before it; then the offsets of the
entries that share nothing (4 bytes each), and their number. The entries of the index block hold
the place of each other block: its offset and size as varints. The footer holds the places of a
block without a use here and of the index block, zeros, and 8 bytes that tell the format.
"""

from __future__ import annotations

from collections.abc import Iterator

from centroids.crc32c import masked_crc32c
from centroids.protobuf import DamagedMessageError, read_varint

_FOOTER_SIZE = 48
_MAGIC = bytes.fromhex("57fb808b247547db")
_COMPRESSION = {1: "Snappy"}
_UNCOMPRESSED = 0
_TRAILER_SIZE = 5
# With shared beginnings a small file could expand to very much.
_MAX_KEY_SIZE = 4096


# The bytes are not a table, or were altered. A table holds messages: their errors are its own.
DamagedTableError = DamagedMessageError


def read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table, in the order of the keys.

    Args:
        data: The bytes of the whole file.

    Raises:
        DamagedTableError: If a part is missing, does not fit or differs from its checksum, or if
            a block is compressed.

    Source: the table format of LevelDB (doc/table_format.md there).
    """
    if len(data) < _FOOTER_SIZE or not data.endswith(_MAGIC):
        raise DamagedTableError("it does not end as a sorted string table does")
    footer = data[-_FOOTER_SIZE : -len(_MAGIC)]
    position = 0
    places = []
    for _ in range(4):
        number, position = read_varint(footer, position)
        places.append(number)
    if any(footer[position:]):
        raise DamagedTableError("its footer should end with zeros")
    _read_block(data, places[0], places[1])
    index = _read_block(data, places[2], places[3])
    previous: bytes | None = None
    for _, place in _read_entries(index):
        offset, position = read_varint(place, 0)
        size, _ = read_varint(place, position)
        for key, value in _read_entries(_read_block(data, offset, size)):
            if previous is not None and key <= previous:
                raise DamagedTableError("its keys are not in order")
            previous = key
            yield key, value


def _read_block(data: bytes, offset: int, size: int) -> bytes:
    """The contents of a block, checked."""
    end = offset + size + _TRAILER_SIZE
    if end > len(data) - _FOOTER_SIZE:
        raise DamagedTableError(
            f"a block should end at byte {end}, but there are only {len(data) - _FOOTER_SIZE}"
        )
    contents, compression = data[offset : offset + size], data[offset + size]
    expected = int.from_bytes(data[end - 4 : end], "little")
    if masked_crc32c(data[offset : end - 4]) != expected:
        raise DamagedTableError(f"the block at byte {offset} differs from its checksum")
    if compression != _UNCOMPRESSED:
        how = _COMPRESSION.get(compression, f"method {compression}")
        raise DamagedTableError(
            f"the block at byte {offset} is compressed ({how}), which cannot be read here"
        )
    return contents


def _read_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    num_restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (num_restarts + 1)
    if end < 0:
        raise DamagedTableError("a block is shorter than its list of restarts")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        size, position = read_varint(block, position)
        begin_of_value = position + unshared
        if shared > len(key) or begin_of_value + size > end:
            raise DamagedTableError("an entry does not fit into its block")
        if shared + unshared > _MAX_KEY_SIZE:
            raise DamagedTableError(f"a key is longer than {_MAX_KEY_SIZE} bytes")
        key = key[:shared] + block[position:begin_of_value]
        position = begin_of_value + size
        yield key, block[begin_of_value:position]
