"""The element types of TensorFlow: their numbers in protos, and their names in NumPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

# What NumPy has too; complex numbers are left out, as no model of ours holds them.
_INTEGERS = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
_OF_NUMPY = ("float16", "float32", "float64", "bool", *_INTEGERS)
_OTHER_NAMES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


@cache
def _names() -> dict[int, str]:
    from tensorboard.compat.proto.types_pb2 import DataType

    return {
        number: _OTHER_NAMES.get(name, name.removeprefix("DT_").lower())
        for name, number in DataType.items()
    }


def type_name(number: int) -> str:
    """The name of the type with this number, such as "float32", "string" or "resource".

    >>> type_name(1), type_name(7), type_name(99)
    ('float32', 'string', 'number 99 of TensorFlow')
    """
    return _names().get(number, f"number {number} of TensorFlow")


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
    return next(number for number, known in _names().items() if known == name)
