"""The element types of TensorFlow: their numbers in protos, and their names in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

# What NumPy has too; complex numbers are left out, as no model of ours holds them.
_INTEGERS = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
_OF_NUMPY = ("float16", "float32", "float64", "bool", *_INTEGERS)
_OTHER_NAMES = {"float": "float32", "double": "float64", "half": "float16"}
_LIST = (
    "invalid float double int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 "
    "bfloat16 qint16 quint16 uint16 complex128 half resource variant uint32 uint64 float8_e5m2 "
    "float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz int4 uint4 int2 uint2 "
    "float4_e2m1fn"
)
# What TensorFlow calls each number, in small letters and without DT_. References to variables of
# TensorFlow 1 are 100 above their types.
DATA_TYPES = dict(enumerate(_LIST.split())) | {
    100 + number: f"{name}_ref" for number, name in enumerate(_LIST.split()) if number > 0
}
_NAMES = {number: _OTHER_NAMES.get(name, name) for number, name in DATA_TYPES.items()}


def type_name(number: int) -> str:
    """The name of the type with this number, such as "float32", "string" or "resource".

    >>> type_name(1), type_name(7), type_name(99)
    ('float32', 'string', 'number 99 of TensorFlow')
    """
    return _NAMES.get(number, f"number {number} of TensorFlow")


def numpy_type(number: int) -> np.dtype[Any] | None:
    """The type with this number, lowest byte first; None for one that NumPy does not have.

    >>> numpy_type(9).name, numpy_type(14)
    ('int64', None)
    """
    name = type_name(number)
    return np.dtype(name).newbyteorder("<") if name in _OF_NUMPY else None


def type_number(dtype: np.dtype[Any]) -> int:
    """The number of an element type; `np.dtype("S")` of any length is that of strings.

    Raises:
        ValueError: If a graph cannot hold it.

    >>> type_number(np.dtype(np.float32)), type_number(np.dtype("S3"))
    (1, 7)
    """
    allowed = (*_OF_NUMPY, "bfloat16")
    if dtype.kind != "S" and dtype.name not in allowed:
        raise ValueError(
            f"a graph cannot hold the type {dtype}; it can hold strings and {', '.join(allowed)}"
        )
    name = "string" if dtype.kind == "S" else dtype.name
    return next(number for number, known in _NAMES.items() if known == name)
