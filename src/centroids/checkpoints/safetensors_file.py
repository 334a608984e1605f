"""The layout of safetensors files, written here.

The library that reads them ends the process where it has no memory to write one: a checkpoint of a
large model is when memory runs out. The bytes are those that it writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Arrays come in this order of their types, then by name.
_TYPES = ("U64", "I64", "F64", "F32", "U32", "I32", "F16", "U16", "I16", "I8", "U8", "BOOL")
_KINDS = {"u": "U", "i": "I", "f": "F"}
_ALIGNMENT = 8


def parts_of(
    arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> list[bytes | memoryview]:
    """Returns the bytes of a safetensors file in their parts: two of the header, then each array.

    Args:
        arrays: By name; numbers or bool, contiguous, little-endian.
        metadata: Texts by name.

    Raises:
        TypeError: If an array has a type that the format does not know.
        MemoryError: If there is no room for the header.

    >>> b"".join(parts_of({"a": np.array([1.0])}, {"of": "us"}))[8:96].decode().rstrip()
    '{"__metadata__":{"of":"us"},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'
    """
    types = {name: _type_of(name, array) for name, array in arrays.items()}
    names = sorted(arrays, key=lambda name: (_TYPES.index(types[name]), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name in names:
        stop = start + arrays[name].nbytes
        shape = list(arrays[name].shape)
        header[name] = {"dtype": types[name], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    parts = [arrays[name].reshape(-1).view(np.uint8).data for name in names]
    return [len(text).to_bytes(8, "little"), text, *parts]


def _type_of(name: str, array: NDArray[Any]) -> str:
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    found = "BOOL" if kind == "b" else f"{_KINDS.get(kind)}{bits}"
    if found not in _TYPES:
        raise TypeError(f"{name} has the type {array.dtype}, which safetensors cannot hold")
    return found
