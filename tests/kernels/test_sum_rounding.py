"""Sums that 64 bits have no room for are rounded once, to nearest and ties to even, in 128."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from centroids import kernels

LARGEST = np.finfo(np.float64).max


def as_float(value: Fraction) -> float:
    """The nearest float64: Python divides integers with one rounding."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def column_of(value: int) -> list[float]:
    """Four numbers that are exact in float64 and whose sum is the value, of up to 200 bits."""
    sign = -1 if value < 0 else 1
    pieces = [(abs(value) >> 50 * i) % (1 << 50) << 50 * i for i in range(4)]
    return [float(sign * piece) for piece in pieces]


def check(values: Sequence[int], exponent: int = 0, doublings: int = 0) -> None:
    """Each value is the sum of a column of its own."""
    points = np.ldexp(np.array([column_of(value) for value in values]).T, exponent)
    part = kernels.assign_partial(points, np.zeros((1, len(values))))
    for _ in range(doublings):
        part = part + part
    sums = part.finish().sums
    assert sums is not None
    unit = Fraction(2) ** (exponent + doublings)
    assert sums[0].tolist() == [as_float(value * unit) for value in values]


def near_ties(bits: int) -> list[int]:
    """Numbers of so many bits, at and around what lies halfway between two of 53 bits."""
    half = 1 << bits - 54
    kept = [1 << 52, (1 << 52) + 1, (1 << 53) - 2, (1 << 53) - 1]
    ties = [(2 * mantissa + 1) * half for mantissa in kept]
    around = [tie + step for tie in ties for step in (0, 1, -1, half // 2, -(half // 2))]
    return around + [-value for value in around]


@pytest.mark.parametrize("bits", [54, 55, 62, 63, 64, 65, 66, 80, 94])
@pytest.mark.parametrize("exponent", [0, -600, 400, -1074])
def test_ties_go_to_even_and_all_else_to_the_nearest(bits: int, exponent: int) -> None:
    check(near_ties(bits), exponent)


@pytest.mark.parametrize("doublings", [1, 20, 31, 32, 33, 40])
def test_ties_are_ties_up_to_128_bits_and_beyond(doublings: int) -> None:
    check(near_ties(94), -50, doublings)


@pytest.mark.parametrize("exponent", [0, -40, -1074, 300])
def test_sums_of_any_length_are_rounded_once(exponent: int) -> None:
    draw = random.Random(exponent)
    values = [draw.getrandbits(draw.randint(1, 95)) for _ in range(500)]
    check([value if draw.random() < 0.5 else -value for value in values], exponent)


def test_what_is_left_of_large_numbers_is_exact_down_to_the_least_subnormal() -> None:
    least = 2.0**-1074
    large = 2.0**-985
    left = [0.0, least, -least, 3 * least, 2.0**-1023, -(2.0**-1022) + least, 2.0**-1022]
    points = np.array([[large] * 7, left, [-large] * 7])
    sums = kernels.assign(points, np.zeros((1, 7)), update=True).sums
    assert sums is not None
    assert sums[0].tolist() == left


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("above", "expected"),
    [
        (2.0**970 - 2.0**964, LARGEST),
        (2.0**970, math.inf),  # halfway to what would be 2^1024
        (2.0**970 + 2.0**964, math.inf),
        (-(2.0**970), np.nextafter(LARGEST, 0)),  # halfway to the next below, which is even
        (-(2.0**970) + 2.0**964, LARGEST),
    ],
)
def test_sums_overflow_where_they_round_to_infinity(
    above: float, expected: float, sign: float
) -> None:
    def part(value: float) -> kernels.PartialAssignment:
        return kernels.assign_partial(np.array([[sign * value]]), np.array([[sign * value]]))

    # Squares of differences must be finite: each number has a center of its own.
    beside = 2.0**1016
    sums = (part(LARGEST) + part(beside + above) - part(beside)).finish().sums
    assert sums is not None
    assert sums[0, 0] == sign * expected
