"""The loss of full batches never rises by more than rounding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.numbers import modes


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Clumps of points at some distance from the origin, and a number of clusters."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(2, 200)), draw(st.integers(1, 24))
    clumps = random.normal(size=(draw(st.integers(1, 10)), d)) * draw(st.sampled_from([0.0, 1, 30]))
    points = clumps[random.integers(0, len(clumps), n)] + random.normal(size=(n, d))
    points *= draw(st.sampled_from([1e-12, 1.0, 1e12]))
    points += draw(st.sampled_from([0.0, 100.0, 1e4])) * np.abs(points).mean()
    if draw(st.booleans()):
        points[random.random(points.shape) < 0.7] = 0
    return points.astype(draw(st.sampled_from([np.float32, np.float64]))), draw(st.integers(1, n))


def largest_rise(points: np.ndarray, loss: float, cosine: bool) -> float:
    """What rounding the centers can add to a loss.

    The loss over the points of a center is n |c - m|^2 above its minimum at the mean m. Storing c
    rounds each element by at most half an ulp, and float64 sums add less. A unit vector c is off by
    4 roundings in each of d elements: its length changes the loss by that part of itself, its
    direction by the square. Four times of each is allowed.
    """
    n, d = points.shape
    unit = float(np.finfo(points.dtype).eps)
    if cosine:
        return 4 * (d**0.5 * unit * loss + n * d * unit**2) + 1e-13 * n
    sums = (n * np.finfo(np.float64).eps * np.abs(points.astype(np.float64)).max()) ** 2
    stored = (unit * float(np.abs(points).max())) ** 2
    return 4 * n * d * (stored + sums) + 1e-13 * loss


def check_losses(points: np.ndarray, num_clusters: int, cosine: bool, sparse: bool) -> None:
    layout = scipy.sparse.csr_array(points) if sparse else points
    steps = modes.run("full", points[:num_clusters].copy(), [layout] * 12, cosine)
    losses = [batch.inertia for batch, _ in steps]
    if sparse and not cosine:
        # |x|^2 - 2xc + |c|^2 of sparse rows rounds relative to |x|^2, not to the distance.
        squares = float((points.astype(np.float64) ** 2).sum())
        allowance = 1e-13 * squares
    else:
        allowance = 0.0
    for before, after in pairwise(losses):
        assert after <= before + largest_rise(points, before, cosine) + allowance


@settings(max_examples=100, deadline=None)
@given(problems(), st.booleans(), st.booleans())
def test_the_loss_of_full_batches_never_rises(
    problem: tuple[np.ndarray, int], cosine: bool, sparse: bool
) -> None:
    check_losses(*problem, cosine=cosine, sparse=sparse)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(problems(), st.booleans(), st.booleans())
def test_the_loss_never_rises_in_many_examples(
    problem: tuple[np.ndarray, int], cosine: bool, sparse: bool
) -> None:
    check_losses(*problem, cosine=cosine, sparse=sparse)
