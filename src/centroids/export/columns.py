"""The names of a model's columns in exported files."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

# Names of columns, or features by name as a model was trained on.
Columns = Sequence[str] | Mapping[str, Any]


def check_columns(columns: Columns, dimensions: int | None = None) -> list[str]:
    """Returns the names of the columns of points as a list.

    Args:
        columns: The names; or a dict of features, whose columns training joins in the order of
            their sorted names. A feature of several columns gives `name_0`, `name_1` and so on.
        dimensions: How many there must be; None for any number.

    Raises:
        TypeError: If they are neither a sequence of strings nor a dict of features.
        ValueError: If there is not one for each dimension.

    >>> check_columns(("height", "width"), 2)
    ['height', 'width']
    >>> import numpy as np
    >>> check_columns({"size": np.zeros((5, 2)), "age": np.zeros(5)})
    ['age', 'size_0', 'size_1']
    """
    if isinstance(columns, Mapping):
        names: list[Any] = _names_of_features(columns)
    elif isinstance(columns, (str, bytes)) or not isinstance(columns, Sequence):
        raise TypeError(f"columns must be a list of names, got {columns!r}")
    else:
        names = list(columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"columns must be a list of names, got {name!r} in it")
    if dimensions is not None and len(names) != dimensions:
        raise ValueError(
            f"columns must name the {dimensions} columns of the points, got {len(names)} names"
        )
    return names


def _names_of_features(features: Mapping[str, Any]) -> list[Any]:
    names: list[Any] = []
    for name in sorted(features):
        shape = getattr(features[name], "shape", None)
        if shape is None or len(shape) not in (1, 2):
            raise TypeError(
                f"columns must be a list of names or a dict of features of the shapes [n] or "
                f"[n, d], got {features[name]!r} for {name!r}"
            )
        width = shape[1] if len(shape) == 2 else 1
        names += [name] if width == 1 else [f"{name}_{index}" for index in range(width)]
    return names


def check_argument_names(names: Sequence[str]) -> None:
    """Raises a ValueError if TensorFlow 2 would not load a SavedModel with inputs of these names.

    It makes them arguments of a Python function, after replacing everything but letters and digits
    by underscores. If two are then equal, or one is a keyword such as `class`, it refuses the whole
    model.

    >>> check_argument_names(["height", "width (cm)"])
    """
    seen: dict[str, str] = {}
    for name in names:
        argument = "".join(sign if sign.isalnum() else "_" for sign in name)
        if not argument[:1].isalpha():
            argument = f"arg_{argument}"
        if not name or keyword.iskeyword(argument) or not argument.isidentifier():
            raise ValueError(f"TensorFlow 2 cannot load a model with an input named {name!r}")
        if argument in seen:
            raise ValueError(
                f"TensorFlow 2 cannot tell apart inputs named {seen[argument]!r} and {name!r}"
            )
        seen[argument] = name
