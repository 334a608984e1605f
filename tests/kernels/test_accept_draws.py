"""Which drawn rows become centers, against the rule in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests.plain_seeding import PlainSeeding

LEVELS = kernels.supported_instruction_sets()
SHAPES = [(1, 1), (2, 3), (7, 15), (40, 16), (33, 17), (64, 33), (65, 70), (20, 257), (12, 1025)]


def expected(
    drawn: NDArray[Any],
    before: NDArray[np.float64],
    shares: NDArray[np.float64],
    most: int,
    cosine: bool,
) -> list[int]:
    """Kept if share * before < now, where now is the distance to those kept, too."""
    plain = PlainSeeding(drawn, cosine=cosine)
    kept: list[int] = []
    now = before.copy()
    for row in range(len(drawn)):
        allowed = Fraction(float(shares[row])) * Fraction(float(before[row]))
        if len(kept) < most and allowed < Fraction(float(now[row])):
            kept.append(row)
            now = np.minimum(now, plain._distances(row))
    return kept


def problem(
    n: int, d: int, seed: int, dtype: Any
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """Groups of rows, so that some are near those kept before them, and equal ones."""
    random = np.random.default_rng(seed)
    groups = random.normal(size=(5, d)) * 4
    drawn = (groups[random.integers(5, size=n)] + random.normal(size=(n, d))).astype(dtype)
    drawn[n // 2 :: 3] = drawn[0]
    before = d * random.exponential(9, size=n)
    return drawn, before, random.random(n)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape(level: str, shape: tuple[int, int], dtype: Any, cosine: bool) -> None:
    drawn, before, shares = problem(*shape, seed=1, dtype=dtype)
    if cosine:
        before = before / before.max() * 2
    for most in (1, 3, len(drawn)):
        found = kernels.accept_draws(drawn, before, shares, most, cosine=cosine)
        assert found.tolist() == expected(drawn, before, shares, most, cosine)


@given(
    n=st.integers(1, 60),
    d=st.integers(1, 40),
    most=st.integers(0, 70),
    exponent=st.sampled_from([0, -30, -150, -160, 17, 150]),
    cosine=st.booleans(),
    level=st.sampled_from(LEVELS),
    seed=st.integers(0, 999),
)
@settings(max_examples=150, deadline=None)
def test_any_rows(
    n: int, d: int, most: int, exponent: int, cosine: bool, level: str, seed: int
) -> None:
    drawn, before, shares = problem(n, d, seed, np.float64)
    if cosine:  # the oracle normalises as it stands: squares must not lose digits
        exponent = max(-30, min(exponent, 17))
    # Shares at the edge: what is left of the distance to the first row, to the last bit.
    before = np.full(n, 2.0) if cosine else before * 100.0**exponent
    if n > 1:
        plain = PlainSeeding(drawn * 10.0**exponent, cosine=cosine)
        edge = plain._distances(0)[1:] / before[1:]
        nudged = edge * (1 + np.random.default_rng(seed).integers(-1, 2, n - 1) * 2.0**-52)
        shares[1:] = np.where(nudged < 1, nudged, shares[1:])
    drawn = drawn * 10.0**exponent
    kernels.set_instruction_set(level)
    try:
        found = kernels.accept_draws(drawn, before, shares, most, cosine=cosine)
    finally:
        kernels.set_instruction_set("")
    assert found.tolist() == expected(drawn, before, shares, most, cosine)


def test_a_row_whose_distance_is_used_up_is_not_kept(level: str) -> None:
    drawn = np.zeros((4, 3))
    found = kernels.accept_draws(drawn, np.array([1.0, 1.0, 0.0, 5.0]), np.zeros(4), 4)
    assert found.tolist() == [0]  # at the first row are all the others
