"""The index of a TensorFlow checkpoint: which variables there are, and where their bytes lie.

The values of its table are protocol buffers, of which few fields matter here:

    the empty key        BundleHeaderProto: num_shards = 1, endianness = 2, version = 3
    a variable's name    BundleEntryProto: dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5,
                         crc32c = 6, slices = 7
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from centroids.checkpoints._string_table import DamagedTableError, read_table
from centroids.protobuf import as_message as _message
from centroids.protobuf import as_number as _number
from centroids.protobuf import read_fields as _fields
from centroids.tensorflow_types import numpy_type, type_name

_READABLE_VERSION = 1
# What TensorFlow 2 adds to the name of an object's variable in a checkpoint.
_OBJECT_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(frozen=True)
class TensorFlowVariable:
    """What the index of a checkpoint says about one variable.

    Attributes:
        dtype: Its type; None for a type that NumPy does not have.
        shape: Its shape.
        type_name: Its type in words.
        file: The file that holds its bytes.
        offset: Where they begin.
        size: How many they are.
        checksum: Their masked CRC-32C.
        sliced: Whether it was saved in several parts, which have entries of their own.
        text: Whether it holds strings.
    """

    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]
    type_name: str
    file: str
    offset: int
    size: int
    checksum: int
    sliced: bool
    text: bool


def read_index(data: bytes, prefix: str) -> dict[str, TensorFlowVariable]:
    """Reads an index.

    Args:
        data: The bytes of the whole `.index` file.
        prefix: The path of the checkpoint, for the names of the other files.

    Returns:
        The variables by name. Those of objects, as TensorFlow 2 saves them, have the names of the
        objects: without "/.ATTRIBUTES/VARIABLE_VALUE".

    Raises:
        DamagedTableError: If it is torn or altered, or not readable here; the message says why.
    """
    table = read_table(data)
    key, header = next(table, (None, b""))
    if key != b"":
        raise DamagedTableError("it has no header")
    num_shards = _check_header(header)
    variables = {
        # Keys that begin with a zero byte are parts of variables, refused with their variable.
        key.decode("utf-8", "backslashreplace"): _read_entry(entry, prefix, num_shards)
        for key, entry in table
        if not key.startswith(b"\0")
    }
    short = [name.removesuffix(_OBJECT_SUFFIX) for name in variables]
    unambiguous = len(set(short)) == len(short)
    return dict(zip(short, variables.values(), strict=True)) if unambiguous else variables


def _check_header(header: bytes) -> int:
    """The number of data files."""
    fields = dict(_fields(header))
    if fields.get(2, 0) != 0:
        raise DamagedTableError("it was written by a big-endian machine, which cannot be read here")
    version = dict(_fields(_message(fields.get(3, b""))))
    oldest_reader = _number(version.get(2, 0))
    if oldest_reader > _READABLE_VERSION:
        raise DamagedTableError(
            f"it needs a reader of version {oldest_reader}, and this one is of {_READABLE_VERSION}"
        )
    return _number(fields.get(1, 0))


def _read_entry(entry: bytes, prefix: str, num_shards: int) -> TensorFlowVariable:
    fields = dict(_fields(entry))
    number, shard = _number(fields.get(1, 0)), _number(fields.get(3, 0))
    return TensorFlowVariable(
        dtype=numpy_type(number),
        shape=_read_shape(_message(fields.get(2, b""))),
        type_name=type_name(number),
        file=f"{prefix}.data-{shard:05d}-of-{num_shards:05d}",
        offset=_number(fields.get(4, 0)),
        size=_number(fields.get(5, 0)),
        checksum=_number(fields.get(6, 0)),
        sliced=7 in fields,
        text=type_name(number) == "string",
    )


def _read_shape(message: bytes) -> tuple[int, ...]:
    """The dimensions of a TensorShapeProto."""
    dimensions = (_message(value) for field, value in _fields(message) if field == 2)
    return tuple(_number(dict(_fields(dimension)).get(1, 0)) for dimension in dimensions)
