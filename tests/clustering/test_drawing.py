"""With which probability rows are drawn, against probabilities computed by hand; and the sums."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import (
    InitialMethod,
    choose_initial_centers,
    kmeans_parallel,
    kmeans_plus_plus,
    kmeans_rejection,
)
from centroids.clustering._plus_plus import draw_targets
from centroids.kernels import RowWeights
from tests.plain_seeding import in_units


def inertia(points: NDArray[Any], centers: NDArray[Any]) -> float:
    return float(((points[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum())


def chi_square(counts: NDArray[Any], probabilities: NDArray[np.float64]) -> float:
    """How far counts are from what is expected, in standard deviations of the statistic."""
    possible = probabilities > 0
    assert not counts[~possible].any()
    expected = counts.sum() * probabilities[possible]
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    freedom = possible.sum() - 1
    return float((statistic - freedom) / np.sqrt(2 * freedom))


PLAIN_PLUS_PLUS = functools.partial(kmeans_plus_plus, num_retries=0)


@pytest.mark.parametrize("choose", [PLAIN_PLUS_PLUS, kmeans_rejection])
def test_pairs_and_triples_are_drawn_with_the_probabilities_of_plus_plus(
    choose: Callable[..., NDArray[Any]],
) -> None:
    points = np.array([[0.0], [1.0], [3.0], [3.0], [7.0]])
    n = len(points)
    squares = (points - points.T) ** 2
    expected = np.zeros((n, n, n))
    for a, b, c in itertools.product(range(n), repeat=3):
        first, both = squares[a], np.minimum(squares[a], squares[b])
        expected[a, b, c] = 1 / n * first[b] / first.sum() * both[c] / both.sum()
    # Rows 2 and 3 are equal: what is seen is the values.
    places = np.array([0, 1, 2, 2, 3])
    merged, counts = np.zeros((4, 4, 4)), np.zeros((4, 4, 4))
    for triple in itertools.product(range(n), repeat=3):
        merged[tuple(places[list(triple)])] += expected[triple]
    for seed in range(4000):
        random = np.random.default_rng(seed)
        chosen = choose(points, 3, random)[:, 0]
        counts[tuple(np.searchsorted([0, 1, 3, 7], chosen))] += 1
    assert chi_square(counts, merged) < 6


@pytest.mark.parametrize("num_rows", [3, 40, 5000])
def test_rows_are_drawn_by_their_weights(num_rows: int) -> None:
    random = np.random.default_rng(0)
    distances = random.exponential(size=num_rows) ** 3
    distances[1] = 0
    weights = RowWeights(distances)
    rows = weights.find(draw_targets(weights.total, 50_000, random))
    counts = np.bincount(rows, minlength=num_rows)
    blocks = np.arange(num_rows) * 40 // max(num_rows, 40)
    assert counts[1] == 0
    together = np.bincount(blocks, distances / distances.sum())
    assert chi_square(np.bincount(blocks, counts), together) < 6


values = st.one_of(
    st.floats(0, 1e300, allow_subnormal=True),
    st.sampled_from([0.0, 5e-324, 1e-310, 2.0**-1022, 1.0, 1e300, np.finfo(float).max]),
    st.integers(0, 1000).map(float),
)

factors = st.one_of(
    st.integers(0, (1 << 62) - 1).map(float),
    st.floats(0, 2.0**63, allow_subnormal=True),
    st.sampled_from([0.0, 5e-324, 1e-310, 1e-30, 0.1, 3.0, 1e17]),
)


@given(
    distances=st.lists(values, min_size=1, max_size=40),
    times=st.none() | st.lists(factors, min_size=40, max_size=40),
    share=st.lists(st.fractions(0, 1), min_size=1, max_size=5),
    stretch=st.sampled_from([1, 100, 2500]),
)
def test_totals_are_exact_and_targets_fall_on_their_rows(
    distances: list[float], times: list[float] | None, share: list[Fraction], stretch: int
) -> None:
    """Against whole numbers of Python: 5e-324 beside 1e300, and blocks of thousands of rows."""
    spread = np.zeros(len(distances) * stretch)
    spread[::stretch] = distances
    own = [1.0] * len(distances) if times is None else times[: len(distances)]
    repeated = None
    if times is not None:
        repeated = np.repeat(np.array(own), stretch)
    weights = RowWeights(spread, repeated)
    # Without what is below the unit.
    exact = [
        int(in_units(value) * Fraction(factor))
        for value, factor in zip(distances, own, strict=True)
    ]
    ends = list(itertools.accumulate(exact))
    assert weights.total == ends[-1]
    if not ends[-1]:
        return
    targets = [min(int(part * ends[-1]), ends[-1] - 1) for part in share]
    targets += [0, ends[-1] - 1, *(end for end in ends if 0 < end < ends[-1])]
    expected = [next(row for row, end in enumerate(ends) if end > target) for target in targets]
    assert weights.find(targets).tolist() == [row * stretch for row in expected]


def test_a_tiny_weight_is_drawn_once_the_large_ones_are_centers() -> None:
    points = np.array([[0.0], [1e-150], [3e-150], [1e150], [1.0]])
    for seed in range(20):
        for choose in (kmeans_plus_plus, kmeans_parallel, kmeans_rejection):
            centers = choose(points, 5, np.random.default_rng(seed))
            assert sorted(centers[:, 0].tolist()) == sorted(points[:, 0].tolist())


def test_order_and_copies_of_the_rows_before_do_not_matter_to_sums() -> None:
    random = np.random.default_rng(0)
    distances = np.exp(random.normal(size=20_000) * 50)
    total = RowWeights(distances).total
    assert RowWeights(random.permutation(distances)).total == total
    parts = np.split(distances, [3, 3, 5000, 19_000])
    assert sum(RowWeights(part.copy()).total for part in parts) == total


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("k", [5, 60])
def test_parallel_is_as_good_as_plus_plus(k: int, cosine: bool) -> None:
    random = np.random.default_rng(1)
    groups = random.normal(size=(k, 6)) * 5
    points = groups[random.integers(k, size=3000)] + random.normal(size=(3000, 6)) * 0.3
    metric = kernels.l2_normalize(points) if cosine else points
    losses = {}
    for choose in (kmeans_plus_plus, kmeans_parallel):
        centers = [
            choose(points, k, np.random.default_rng(seed), cosine=cosine) for seed in range(5)
        ]
        losses[choose] = np.mean([inertia(metric, each) for each in centers])
    assert losses[kmeans_parallel] < 1.3 * losses[kmeans_plus_plus]


METHODS: list[InitialMethod] = ["kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cosine", [False, True])
def test_centers_are_different_rows(method: InitialMethod, cosine: bool) -> None:
    points = np.random.default_rng(0).normal(size=(70, 3)).astype(np.float32)
    for k in (1, 2, 69, 70):
        centers = choose_initial_centers([points], k, method, cosine=cosine)
        rows = kernels.l2_normalize(points).astype(np.float32) if cosine else points
        found = [np.abs(rows - center).max(axis=1).argmin() for center in centers]
        assert len(set(found)) == k
        np.testing.assert_allclose(centers, rows[found], rtol=1e-6)
