"""The names of a model's columns in exported files."""

from __future__ import annotations

from collections.abc import Sequence


def check_columns(columns: Sequence[str], dimensions: int | None = None) -> list[str]:
    """Returns the names of the columns of points as a list.

    Args:
        columns: The names.
        dimensions: How many there must be; None for any number.

    Raises:
        TypeError: If they are no sequence of strings.
        ValueError: If there is not one for each dimension.

    >>> check_columns(("height", "width"), 2)
    ['height', 'width']
    """
    if isinstance(columns, (str, bytes)) or not isinstance(columns, Sequence):
        raise TypeError(f"columns must be a list of names, got {columns!r}")
    names = list(columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"columns must be a list of names, got {name!r} in it")
    if dimensions is not None and len(names) != dimensions:
        raise ValueError(
            f"columns must name the {dimensions} columns of the points, got {len(names)} names"
        )
    return names
