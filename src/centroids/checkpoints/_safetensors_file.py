"""The layout of safetensors files, written and read here.

The library of the format ends the process if it has no memory to write one, and saving a large
model is when memory runs out; and there is none yet for free-threaded Python. The bytes are the
same as the library writes, and what it refuses to read is refused here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Arrays come in this order of their types, then by name.
_TYPES = ("U64", "I64", "F64", "F32", "U32", "I32", "F16", "U16", "I16", "I8", "U8", "BOOL")
_KINDS = {"u": "U", "i": "I", "f": "F"}
_DTYPES = {
    name: np.dtype("?" if name == "BOOL" else f"<{name[0].lower()}{int(name[1:]) // 8}")
    for name in _TYPES
}
_ALIGNMENT = 8
_MOST = 2**63

Buffer: TypeAlias = bytes | memoryview


def layout_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, Buffer]]:
    """Returns what the header says of each array, and the bytes of each, in the order of the file.

    Args:
        arrays: By name; numbers or bool, contiguous, little-endian.

    Raises:
        TypeError: If an array has a type that the format does not know.

    >>> layout_of({"a": np.array([1.0])})[0]
    {'a': {'dtype': 'F64', 'shape': [1], 'data_offsets': [0, 8]}}
    """
    types = {name: _type_of(name, array) for name, array in arrays.items()}
    names = sorted(arrays, key=lambda name: (_TYPES.index(types[name]), name))
    header = {}
    start = 0
    for name in names:
        stop = start + arrays[name].nbytes
        shape = list(arrays[name].shape)
        header[name] = {"dtype": types[name], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    return header, {name: arrays[name].reshape(-1).view(np.uint8).data for name in names}


def head_of(header: Mapping[str, Any], metadata: Mapping[str, str]) -> list[Buffer]:
    """Returns the two parts of a file that come before the arrays.

    Args:
        header: That of `layout_of`.
        metadata: Texts by name.

    Raises:
        MemoryError: If there is no room for it.

    >>> b"".join(head_of({}, {"of": "us"}))[8:].decode().rstrip()
    '{"__metadata__":{"of":"us"}}'
    """
    whole = {"__metadata__": dict(metadata), **header}
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return [len(text).to_bytes(8, "little"), text]


def arrays_in(header: Mapping[str, Any], values: Buffer) -> dict[str, NDArray[Any]]:
    r"""Returns the arrays of a file by name, as writable copies.

    Args:
        header: What it says of each array.
        values: The bytes behind the header.

    Raises:
        ValueError: If the bytes of the arrays do not follow upon each other, from the first to the
            last, or an array has more or fewer than its shape needs.
        LookupError, TypeError: If the header lacks something, or has something of another type.

    >>> arrays_in({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}, b"\1\2")
    {'a': array([1, 2], dtype=uint8)}
    """
    arrays = {}
    at = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype = _DTYPES[entry["dtype"]]
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        if not all(type(each) is int and 0 <= each < _MOST for each in (*shape, start, stop)):
            raise ValueError(f"the shape or the offsets of {name} are not whole numbers from 0 on")
        if start != at or stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} has the bytes {start} to {stop} for the shape {shape}")
        arrays[name] = np.frombuffer(values[start:stop], dtype).reshape(shape).copy()
        at = stop
    if at != len(values):
        raise ValueError(f"there are {len(values)} bytes for arrays of {at}")
    return arrays


def _type_of(name: str, array: NDArray[Any]) -> str:
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    found = "BOOL" if kind == "b" else f"{_KINDS.get(kind)}{bits}"
    if found not in _TYPES:
        raise TypeError(f"{name} has the type {array.dtype}, which safetensors cannot hold")
    return found
