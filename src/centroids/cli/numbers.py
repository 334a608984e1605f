"""Numbers as all commands show them."""

from __future__ import annotations

_LARGEST_IN_FULL = 1e15


def format_number(value: float) -> str:
    """A number with six digits that count, or all of its whole part, grouped by commas.

    >>> [format_number(value) for value in (60076.6462, 19385595.2, 12.0153, 0.5, 4e-7)]
    ['60,076.6', '19,385,595', '12.0153', '0.5', '4e-07']
    """
    if not 1e5 <= abs(value) < _LARGEST_IN_FULL:
        return f"{value:,.6g}"
    return f"{value:,.0f}"
