"""k-means++ by rejection against its definition, in whole numbers, by the same random numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import (
    WeightedPoints,
    choose_initial_centers,
    choose_initial_centers_of_shards,
    kmeans_rejection,
    kmeans_rejection_rows,
)
from centroids.clustering._shards import LocalShards
from tests.plain_seeding import PlainSeeding, in_units

LEVELS = kernels.supported_instruction_sets()


def distances_to(points: NDArray[Any], row: int, cosine: bool) -> list[float]:
    plain = PlainSeeding(points, cosine=cosine)
    plain.start(row)
    return [float(value) for value in plain.closest]


def expected_rows(
    points: NDArray[Any], k: int, seed: int, *, cosine: bool = False, weights: Any = None
) -> list[int]:
    """The definition: targets fall on rows by the weights at the beginning of the round, and a row
    is kept if its share of its distance then is below the distance that it has by now."""
    random = np.random.default_rng(seed)
    own = [1.0] * len(points) if weights is None else [float(weight) for weight in weights]
    if weights is None:
        chosen = [int(random.integers(len(points)))]
    else:  # no whole numbers: by the sums of the weights
        ends = list(itertools.accumulate(map(in_units, own)))
        target = int(random.random() * 2**53) * ends[-1] >> 53
        chosen = [next(row for row, end in enumerate(ends) if end > target)]
    closest = distances_to(points, chosen[0], cosine)
    while len(chosen) < k:
        exact = [
            int(in_units(value) * Fraction(weight))
            for value, weight in zip(closest, own, strict=True)
        ]
        ends = list(itertools.accumulate(exact))
        if not ends[-1]:
            break
        count = min(max(2 * len(chosen), 32), 2 * (k - len(chosen)), 1024)
        targets = [int(share * 2**53) * ends[-1] >> 53 for share in random.random(count).tolist()]
        shares = random.random(count).tolist()
        before = list(closest)
        for target, share in zip(targets, shares, strict=True):
            row = next(row for row, end in enumerate(ends) if end > target)
            if len(chosen) < k and Fraction(share) * Fraction(before[row]) < closest[row]:
                chosen.append(row)
                to_row = distances_to(points, row, cosine)
                closest = [min(pair) for pair in zip(closest, to_row, strict=True)]
    return chosen


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_rows_are_those_of_the_definition_on_every_level(
    level: str, cosine: bool, dtype: Any
) -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 200, (9, 5))
    points = np.abs(groups[random.integers(9, size=150)] + random.normal(size=(150, 5)) * 3)
    points = points.astype(dtype)
    expected = expected_rows(points, 60, 7, cosine=cosine)
    for threads in (1, 3):
        kernels.set_num_threads(threads)
        try:
            rows = kmeans_rejection_rows(points, 60, np.random.default_rng(7), cosine=cosine)
        finally:
            kernels.set_num_threads(0)
        assert rows.tolist() == expected


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 9),
    share=st.fractions(0, 1),
    kind=st.sampled_from(["normal", "equal rows", "heavy", "tiny", "huge", "far"]),
    weighted=st.booleans(),
    cosine=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_points_give_the_rows_of_the_definition(
    n: int, d: int, share: Fraction, kind: str, weighted: bool, cosine: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(n, d))
    if kind == "equal rows":
        points = np.round(points)
    if kind == "heavy":
        points = random.standard_cauchy((n, d)) ** 3
    points = points * {"tiny": 1e-160, "huge": 1e150}.get(kind, 1.0) + 1e6 * (kind == "far")
    weights = None
    if weighted:
        weights = random.random(n) ** 3
        weights[random.random(n) < 0.3] = 0
        weights[n // 2] = 0.5
    k = 1 + int(share * (n - 1))
    expected = expected_rows(points, k, seed, cosine=cosine, weights=weights)
    rows = kmeans_rejection_rows(
        points, k, np.random.default_rng(seed), cosine=cosine, weights=weights
    )
    # What is missing is filled up with rows at the distance 0 from those.
    different = list(dict.fromkeys(expected))
    assert rows.tolist()[: len(different)] == different or cosine


def test_all_rows_are_chosen_where_there_are_no_others() -> None:
    points = np.random.default_rng(0).normal(size=(2500, 3))
    rows = kmeans_rejection_rows(points, 2500, np.random.default_rng(1))
    assert sorted(rows.tolist()) == list(range(2500))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cosine", [False, True])
def test_many_rounds_give_the_same_rows_in_any_parts(cosine: bool, weighted: bool) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(6000, 7)).astype(np.float32)
    weights = random.random(6000)
    whole = WeightedPoints(points, weights) if weighted else points
    expected = choose_initial_centers([whole], 3000, "kmeans_rejection", seed=5, cosine=cosine)
    cuts = [0, 1, 700, 701, 5000, 6000]
    parts: list[Any] = [
        WeightedPoints(points[a:b], weights[a:b]) if weighted else points[a:b]
        for a, b in itertools.pairwise(cuts)
    ]
    shards = LocalShards(parts, cosine=cosine, num_shards=3)
    chosen = choose_initial_centers_of_shards(
        shards, 3000, "kmeans_rejection", seed=5, cosine=cosine
    )
    np.testing.assert_array_equal(chosen, expected)


def test_a_round_takes_two_questions_and_many_centers() -> None:
    class Counting(LocalShards):
        asked = 0

        def ask(self, method: str, *arguments: Any) -> list[Any]:
            self.asked += 1
            return super().ask(method, *arguments)

    shards = Counting([np.random.default_rng(0).normal(size=(3000, 3))])
    choose_initial_centers_of_shards(shards, 500, "kmeans_rejection")
    assert shards.asked <= 2 * 8 + 6


def test_sparse_rows_are_drawn_by_their_distances() -> None:
    dense = np.random.default_rng(0).integers(-2, 3, (300, 12)) * 1.0
    dense[np.abs(dense) < 2] = 0  # whole numbers: distances are exact in both
    chosen = [
        kmeans_rejection(points, 40, np.random.default_rng(3))
        for points in (dense, scipy.sparse.csr_array(dense))
    ]
    np.testing.assert_array_equal(*chosen)


def test_a_kept_row_is_at_a_distance_that_its_share_allows() -> None:
    """Shares at the edge: equal to the last bit, and products that have no place in float64."""
    drawn = np.array([[0.0], [3.0]])
    for scale in (1.0, 1e-158, 1e150):
        distances = np.array([16.0, 36.0]) * scale * scale
        now = float((drawn[1] * scale)[0]) ** 2
        for share in (0.0, 0.25, np.nextafter(0.25, 0), np.nextafter(0.25, 1), 0.9):
            kept = kernels.accept_draws(drawn * scale, distances, np.array([0.0, share]), 2)
            allowed = Fraction(share) * Fraction(float(distances[1])) < Fraction(now)
            assert kept.tolist() == ([0, 1] if allowed else [0])
    equal = kernels.accept_draws(drawn, np.array([5e-324, 0.0]), np.array([1 - 2.0**-53, 0.0]), 2)
    assert equal.tolist() == [0]
