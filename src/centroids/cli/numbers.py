"""How numbers are shown."""

from __future__ import annotations

_DIGITS = 6
_NO_EXPONENT_BELOW = 1e15


def show_number(value: float) -> str:
    """A number to read: with six digits, or all those before the point, in groups of three.

    >>> [show_number(value) for value in (60076.6464, 19385595.4, 0.000012345678, 3)]
    ['60,076.6', '19,385,595', '1.23457e-05', '3']
    """
    if 10**_DIGITS <= abs(value) < _NO_EXPONENT_BELOW:
        return f"{value:,.0f}"
    return f"{value:,.{_DIGITS}g}"
