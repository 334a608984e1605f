"""k-means++ against a plain version in float64: the same centers, whatever was pruned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests import oracle

LEVELS = kernels.supported_instruction_sets()
# (points, dimensions, candidates in a round): around blocks of 256 and 2,048, panels of 16.
SHAPES = [
    (1, 1, 1),
    (5, 4, 3),
    (255, 2, 15),
    (257, 7, 16),
    (2047, 16, 17),
    (2049, 65, 8),
    (4100, 129, 33),
]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


def check(points: Any, num_candidates: int, cosine: bool, seed: int = 0, rounds: int = 12) -> None:
    """Every round against NumPy: the winner, the distances and their sums."""
    dense = points.toarray() if scipy.sparse.issparse(points) else np.asarray(points)
    dtype = kernels.result_dtype(points)
    random = np.random.default_rng(seed)
    metric = "cosine" if cosine else "squared_euclidean"

    def draw(count: int) -> NDArray[Any]:
        rows = dense[random.integers(len(dense), size=count)].astype(dtype)
        return oracle.unit_rows(rows).astype(dtype) if cosine else rows

    def distances(centers: NDArray[Any]) -> NDArray[np.float64]:
        return oracle.distances(dense.astype(dtype), centers, metric) * (2 if cosine else 1)

    tolerance = 1e-11 if dtype == np.float64 or not cosine else 1e-5
    seeding = kernels.Seeding(points, cosine=cosine)
    first = draw(1)
    seeding.start(first[0])
    closest = distances(first)[:, 0]
    for _ in range(rounds):
        scale = max(float(closest.max()), 1.0)
        np.testing.assert_allclose(seeding.closest, closest, rtol=1e-5, atol=tolerance * scale)
        blocks = range(0, len(dense), kernels.SAMPLING_BLOCK)
        sums = [seeding.closest[at : at + kernels.SAMPLING_BLOCK].sum() for at in blocks]
        np.testing.assert_allclose(seeding.block_sums, sums, rtol=1e-12)
        candidates = draw(num_candidates)
        every = distances(candidates)
        potentials = np.minimum(closest[:, None], every).sum(axis=0)
        best = seeding.add_best(candidates)
        assert potentials[best] <= potentials.min() + 1e-5 * tolerance * scale + 1e-6 * potentials[
            best
        ] * (tolerance > 1e-9)
        closest = np.minimum(closest, every[:, best])


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_round_agrees_with_the_oracle(
    level: str, cosine: bool, dtype: Any, shape: tuple[int, int, int]
) -> None:
    n, d, num_candidates = shape
    points = np.random.default_rng(n).normal(size=(n, d)).astype(dtype)
    points[np.random.default_rng(d).random(points.shape) < 0.2] = 0
    points[n // 2] = 0
    check(points, num_candidates, cosine)


@pytest.mark.parametrize("cosine", [False, True])
def test_sparse_points_agree_with_the_oracle(cosine: bool) -> None:
    points = np.random.default_rng(0).normal(size=(3000, 20))
    points[np.abs(points) < 1] = 0
    check(scipy.sparse.csr_array(points), 4, cosine)


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
def test_far_from_the_origin(level: str, offset: float) -> None:
    points = (np.random.default_rng(0).normal(size=(2500, 12)) + offset).astype(np.float32)
    check(points, 6, False)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e17, 1e30])
def test_extreme_scales(level: str, scale: float) -> None:
    points = np.random.default_rng(0).normal(size=(600, 9)).astype(np.float32) * np.float32(scale)
    wide = points.astype(np.float64)
    seeding, plain = kernels.Seeding(points), kernels.Seeding(wide)
    seeding.start(points[0])
    plain.start(wide[0])
    for at in range(10, 100, 10):
        rows = slice(at, at + 5)
        assert seeding.add_best(points[rows]) == plain.add_best(wide[rows])
        np.testing.assert_array_equal(seeding.closest, plain.closest)


def test_converted_rows(level: str) -> None:
    random = np.random.default_rng(0)
    points = random.integers(0, 200, (700, 11))
    check(points.astype(np.uint8), 5, False)
    check(np.asfortranarray(points.astype(np.float32)), 5, False)
    check(points.astype(np.float16)[::-1, 1:], 5, True)


def run(points: Any, rounds: int = 40) -> tuple[list[int], NDArray[np.float64]]:
    random = np.random.default_rng(1)
    seeding = kernels.Seeding(points)
    seeding.start(points[0])
    chosen = [seeding.add_best(points[random.integers(len(points), size=8)]) for _ in range(rounds)]
    return chosen, seeding.closest


@pytest.mark.parametrize("d", [2, 5, 40])
def test_levels_and_threads_give_the_same_bits(d: int) -> None:
    points = np.random.default_rng(0).normal(size=(30_000, d)).astype(np.float32)
    want = run(points)
    for name in LEVELS:
        kernels.set_instruction_set(name)
        for threads in (1, 3):
            kernels.set_num_threads(threads)
            got = run(points)
            assert got[0] == want[0]
            np.testing.assert_array_equal(got[1], want[1])
    kernels.set_instruction_set("")
    kernels.set_num_threads(0)


def test_the_first_of_equal_candidates_wins(level: str) -> None:
    points = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    seeding = kernels.Seeding(points)
    seeding.start(points[0])
    assert seeding.add_best(points[[0, 10, 10, 20, 30]]) == 1
    assert seeding.add_best(points[[0, 0]]) == 0


def test_a_bad_value_is_reported() -> None:
    points = np.ones((3000, 3), np.float32)
    points[2500, 1] = np.nan
    with pytest.raises(kernels.NonFiniteError) as error:
        kernels.Seeding(points).start(points[0])
    assert (error.value.row, error.value.column) == (2500, 1)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 600),
    d=st.integers(1, 30),
    num_candidates=st.integers(1, 20),
    cosine=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_shape_agrees_with_the_oracle(
    n: int, d: int, num_candidates: int, cosine: bool, seed: int
) -> None:
    points = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    if seed % 2:
        points = np.round(points)
    check(points, num_candidates, cosine, seed, rounds=4)
